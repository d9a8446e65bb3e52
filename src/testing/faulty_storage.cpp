#include "bureau/testing/faulty_storage.hpp"

#include "bureau/testing/transaction_wrapper.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

namespace {

/// Fails in the n-th statement, and in every one after it.
class Countdown {
 public:
  explicit Countdown(const Fault& fault) : fault_(fault) {}

  Result<void> statement() {
    if (fault_.at != Fault::At::statement || ++count_ < fault_.statement) return {};
    return error();
  }
  [[nodiscard]] bool doomed() const {
    return fault_.at == Fault::At::statement && count_ >= fault_.statement;
  }
  [[nodiscard]] tl::unexpected<Error> error() const {
    return fail(fault_.code, "a fault by plan, in a statement");
  }

 private:
  Fault fault_;
  int count_ = 0;
};

class FaultyReader final : public ReaderWrapper {
 public:
  FaultyReader(Reader& inner, Countdown& countdown) : ReaderWrapper(inner), countdown_(countdown) {}
  Result<void> scan(const Select& select, RowSink sink) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return ReaderWrapper::scan(select, sink);
  }
  Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return ReaderWrapper::aggregate(aggregate, sink);
  }
  Result<bool> find(const TableInfo& table, std::int64_t id, RowSink sink) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return ReaderWrapper::find(table, id, sink);
  }

 private:
  Countdown& countdown_;
};

class FaultyWriter final : public WriterWrapper {
 public:
  FaultyWriter(Writer& inner, Countdown& countdown) : WriterWrapper(inner), countdown_(countdown) {}
  Result<void> scan(const Select& select, RowSink sink) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return WriterWrapper::scan(select, sink);
  }
  Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return WriterWrapper::aggregate(aggregate, sink);
  }
  Result<bool> find(const TableInfo& table, std::int64_t id, RowSink sink) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return WriterWrapper::find(table, id, sink);
  }
  Result<void> insert(const TableInfo& table, std::span<const Value> rows) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return WriterWrapper::insert(table, rows);
  }
  Result<std::uint64_t> update(const Update& update, RowSink returning) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return WriterWrapper::update(update, returning);
  }
  Result<std::uint64_t> update(const Update& update) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return WriterWrapper::update(update);
  }
  Result<std::uint64_t> remove(const Select& which, RowSink removed) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return WriterWrapper::remove(which, removed);
  }
  Result<std::int64_t> draw_sequence(std::int64_t count) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return WriterWrapper::draw_sequence(count);
  }
  Result<void> alter(const Alteration& alteration) override {
    BUREAU_TRY_VOID(countdown_.statement());
    return WriterWrapper::alter(alteration);
  }

 private:
  Countdown& countdown_;
};

}  // namespace

Result<void> FaultyStorage::read(Monotonic deadline, ReadClosure closure) {
  const auto fault = plan_(false, ++calls_);
  if (!fault) return inner().read(deadline, closure);
  if (fault->at == Fault::At::before) {
    ++faults_;
    return fail(fault->code, "a fault by plan, before a read");
  }
  Countdown countdown(*fault);
  Result<void> done = inner().read(deadline, [&](Reader& reader) {
    FaultyReader faulty(reader, countdown);
    return closure(faulty);
  });
  if (!countdown.doomed()) return done;
  ++faults_;
  return countdown.error();
}

Result<void> FaultyStorage::write(const WriteOptions& options, WriteClosure closure) {
  const auto fault = plan_(true, ++calls_);
  if (!fault) return inner().write(options, closure);
  using At = Fault::At;
  if (fault->at == At::before) {
    ++faults_;
    return fail(fault->code, "a fault by plan, before a write");
  }
  bool failed = false;
  Result<void> done = inner().write(options, [&](Writer& writer) -> Result<void> {
    failed = false;
    Countdown countdown(*fault);
    FaultyWriter faulty(writer, countdown);
    Result<void> ran = closure(faulty);
    failed = countdown.doomed() || (ran && fault->at != At::statement);
    if (countdown.doomed()) return countdown.error();
    BUREAU_TRY_VOID(std::move(ran));
    if (fault->at == At::commit) return fail(fault->code, "a fault by plan, at the commit");
    if (fault->at == At::unknown_undone) return fail(Code::unknown_outcome, "a fault by plan");
    return {};
  });
  if (failed) ++faults_;
  if (done && failed && fault->at == At::unknown_kept)
    return fail(Code::unknown_outcome, "a fault by plan");
  return done;
}

}  // namespace testing

BUREAU_END_NAMESPACE

#pragma once

#include "bureau/store/storage.hpp"

BUREAU_BEGIN_NAMESPACE

namespace testing {

/// Forwards everything to another reader; derive from it to watch or disturb one. Lives within the
/// closure that was given the other.
class ReaderWrapper : public Reader {
 public:
  explicit ReaderWrapper(Reader& inner) : inner_(inner) {}
  Result<void> scan(const Select& select, RowSink sink) override {
    return inner_.scan(select, sink);
  }
  Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override {
    return inner_.aggregate(aggregate, sink);
  }
  Result<bool> find(const TableInfo& table, std::int64_t id, RowSink sink) override {
    return inner_.find(table, id, sink);
  }

 private:
  Reader& inner_;
};

/// The same of a writer.
class WriterWrapper : public Writer {
 public:
  explicit WriterWrapper(Writer& inner) : inner_(inner) {}
  Result<void> scan(const Select& select, RowSink sink) override {
    return inner_.scan(select, sink);
  }
  Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override {
    return inner_.aggregate(aggregate, sink);
  }
  Result<bool> find(const TableInfo& table, std::int64_t id, RowSink sink) override {
    return inner_.find(table, id, sink);
  }
  Result<void> insert(const TableInfo& table, std::span<const Value> rows) override {
    return inner_.insert(table, rows);
  }
  Result<std::uint64_t> update(const Update& update, RowSink returning) override {
    return inner_.update(update, returning);
  }
  Result<std::uint64_t> update(const Update& update) override { return inner_.update(update); }
  Result<std::uint64_t> remove(const Select& which, RowSink removed) override {
    return inner_.remove(which, removed);
  }
  Result<std::int64_t> draw_sequence(std::int64_t count) override {
    return inner_.draw_sequence(count);
  }
  Result<void> alter(const Alteration& alteration) override { return inner_.alter(alteration); }

 protected:
  [[nodiscard]] Writer& inner() { return inner_; }

 private:
  Writer& inner_;
};

}  // namespace testing

BUREAU_END_NAMESPACE

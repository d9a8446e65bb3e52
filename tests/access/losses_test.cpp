// A storage that has lost commits which were seen (Storage::losses()): what a program keeps of what
// it read is read anew. That they are gone is played here by writes that no counter tells of.

#include "access/ear.hpp"
#include "store/internal_tables.hpp"

using namespace bureau;
using namespace bureau::office;

namespace {

class Losing final : public StorageWrapper {
 public:
  using StorageWrapper::StorageWrapper;
  [[nodiscard]] std::uint64_t losses() const override { return lost; }
  std::atomic<std::uint64_t> lost{0};
};

std::uint64_t remove_all(Storage& storage, const TableInfo& table) {
  std::uint64_t removed = 0;
  must(storage.write({}, [&](Writer& writer) -> Result<void> {
    BUREAU_TRY(removed, writer.remove({&table, {}, {}, {}, {}, false},
                                      [](auto) -> Result<bool> { return true; }));
    return {};
  }));
  return removed;
}

struct Shaken {
  ManualClock clock;
  std::shared_ptr<Losing> storage = std::make_shared<Losing>(make_memory_storage(clock));
  Office office{own_papers(), storage};
};

}  // namespace

TEST_CASE("G10_rights that were lost are not kept") {
  Shaken shaken;
  const User ann = shaken.office.add_user("ann", "agent");
  must(Papers{*shaken.office.system}.insert(of(ann, "a")));
  const Session session = shaken.office.session(ann);
  CHECK(must(Papers{session}.list({})).size() == 1);
  remove_all(*shaken.storage, table_of<User>());
  CHECK(Papers{session}.list({}));  // it is not looked at while the epoch stays
  ++shaken.storage->lost;
  CHECK(!Papers{session}.list({}));
}

TEST_CASE("G10_keys of personal values that were lost are made anew") {
  Shaken shaken;
  Paper kept = paper("a");
  kept.about = "of a person";
  kept = must(Papers{*shaken.office.system}.insert(kept));
  CHECK(remove_all(*shaken.storage, table_of<detail::KeyRow>()) == 1);
  ++shaken.storage->lost;
  kept.about = "of the same";
  must(Papers{*shaken.office.system}.update(kept));
  CHECK(remove_all(*shaken.storage, table_of<detail::KeyRow>()) == 1);
}

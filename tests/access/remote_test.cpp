// Reads of a storage that each question costs a turn of a network.

#include "access/office.hpp"
#include "bureau/testing/transaction_wrapper.hpp"

using namespace bureau;
using namespace bureau::office;

namespace {

/// Counts the turns that it would take.
class Remote final : public StorageWrapper {
 public:
  using StorageWrapper::StorageWrapper;
  [[nodiscard]] Capabilities capabilities() const override {
    Capabilities all = StorageWrapper::capabilities();
    all.remote = true;
    return all;
  }
  Result<void> read(Monotonic deadline, ReadClosure closure) override {
    return inner().read(deadline, [&](Reader& reader) {
      Counting counting(reader, turns);
      return closure(counting);
    });
  }
  int turns = 0;

 private:
  class Counting final : public Reader {
   public:
    Counting(Reader& inner, int& turns) : inner_(inner), turns_(turns) {}
    Result<void> scan(const Select& select, RowSink sink) override {
      ++turns_;
      return inner_.scan(select, sink);
    }
    Result<void> aggregate(const Aggregate& aggregate, RowSink sink) override {
      ++turns_;
      return inner_.aggregate(aggregate, sink);
    }
    Result<void> scan_all(std::span<const Scan> scans) override {
      ++turns_;
      return inner_.scan_all(scans);
    }

   private:
    Reader& inner_;
    int& turns_;
  };
};

struct Desk {
  Desk() {
    Paper mine = paper("mine");
    mine.owner = ann.id;
    mine.about = "Ann herself";
    id = must(Papers{*office.system}.insert(mine)).id;
    must(Papers{*office.system}.insert(paper("another's")));
    CHECK(must(papers.list({})).size() == 1);  // her rights are known from here on
    storage->turns = 0;
  }
  [[nodiscard]] Role role(const std::string& name) {
    Query named;
    named.where = col(&Role::name) == name;
    return must(Repository<Role>{*office.system}.list(named)).at(0);
  }

  ManualClock clock;
  std::shared_ptr<Remote> storage = std::make_shared<Remote>(tests::new_storage(clock));
  Office office{policies({permit("own", "papers", {}, "owner = $user")}), storage};
  User ann = office.add_user("ann", "agent");
  Session session = office.session(ann);
  Papers papers{session};
  Id<Paper> id;
};

}  // namespace

TEST_CASE("where a question costs a turn, a row costs one and a page another") {
  Desk desk;
  CHECK(must(desk.papers.find(desk.id)).title == "mine");
  CHECK(desk.storage->turns == 1);
  CHECK(must(desk.papers.list({})).size() == 1);
  CHECK(desk.storage->turns == 2);
  CHECK(code_of(desk.papers.find(Id<Paper>(desk.id.value + 1000))) == Code::not_found);
  CHECK(desk.storage->turns == 3);
  const Papers by_system{*desk.office.system};
  CHECK(must(by_system.list({})).size() == 2);
  CHECK(desk.storage->turns == 4);
}

TEST_CASE("where a question costs a turn, a change of rights is seen by the next read") {
  Desk desk;
  // A view looks its rights up first.
  const auto seen = [&] {
    const auto page = desk.papers.list({});
    const auto in_view = desk.session.read([&](View& view) { return Papers{view}.list({}); });
    CHECK(code_of(page) == code_of(in_view));
    CHECK(code_of(desk.papers.find(desk.id)) ==
          code_of(desk.session.read([&](View& view) { return Papers{view}.find(desk.id); })));
    if (page && in_view) CHECK(page->size() == in_view->size());
    return page ? page->size() : 99;
  };
  const auto become = [&](auto change) {
    must(Users{*desk.office.system}.change(desk.ann.id, change));
  };
  CHECK(seen() == 1);
  become([](User& user) { user.status = UserStatus::disabled; });
  CHECK(seen() == 99);
  become([](User& user) { user.status = UserStatus::active; });
  CHECK(seen() == 1);
  Role agents = desk.role("agent");
  const Json could = agents.permissions;
  agents.permissions = Json::array({});
  agents = must(Repository<Role>{*desk.office.system}.update(agents));
  CHECK(seen() != 1);
  agents.permissions = could;
  must(Repository<Role>{*desk.office.system}.update(agents));
  CHECK(seen() == 1);
}

TEST_CASE("where a question costs a turn, pages go on where they ended") {
  Desk desk;
  for (int i = 0; i < 10; ++i) {
    Paper more = paper("more " + std::to_string(i));
    more.owner = desk.ann.id;
    must(Papers{*desk.office.system}.insert(more));
  }
  Query query;
  query.limit = 4;
  std::vector<std::size_t> sizes;
  do {
    // Between two pages her rights become others, and the same again.
    must(Users{*desk.office.system}.change(desk.ann.id, [](User& user) { user.role = "manager"; }));
    CHECK(must(desk.papers.count()) == 11);
    must(Users{*desk.office.system}.change(desk.ann.id, [](User& user) { user.role = "agent"; }));
    const auto page = must(desk.papers.page(query));
    sizes.push_back(page.items.size());
    query.cursor = page.next;
  } while (!query.cursor.empty() && sizes.size() < 10);
  CHECK(sizes == std::vector<std::size_t>{4, 4, 3});
}

#include <array>
#include <atomic>
#include <map>
#include <stdexcept>
#include <thread>

#include "access/office.hpp"

using namespace bureau;
using namespace bureau::office;

namespace {

Policies own_papers() {
  return policies({permit("own", "papers", {}, "owner = $user"),
                   permit("team", "papers", Command::select,
                          "team in (select team from memberships where user = $user)"),
                   permit("low rooms", "rooms", {}, "name in (select title from papers)"),
                   permit("notes", "notes", {}, "owner = $user")});
}

/// What a subscriber heard, as text: "insert a", "update a>b", "remove", "resync", "gone".
struct Ear {
  std::vector<std::string> heard;
  std::vector<std::int64_t> sequences;
  std::function<void(const RowEvent<Paper>&)> then;
  void operator()(const RowEvent<Paper>& event) {
    std::string text(to_string(event.kind));
    if (event.kind == FeedKind::insert) text += " " + event.after->title;
    if (event.kind == FeedKind::update)
      text += " " + event.before->title + ">" + event.after->title;
    heard.push_back(text);
    sequences.push_back(event.sequence);
    if (then) then(event);
  }
};
using Heard = std::vector<std::string>;

FeedSubscription listen(Feed& feed, const Session& session, Ear& ear,
                        SubscribeOptions options = {}) {
  return must(feed.subscribe<Paper>(session, std::move(options),
                                    [&ear](const RowEvent<Paper>& event) { ear(event); }));
}

void drain(Feed& feed) {
  for (int i = 0; feed.pump(); ++i) REQUIRE(i < 1000);
}

Paper of(const User& owner, const std::string& title) {
  Paper p = paper(title);
  p.owner = owner.id;
  return p;
}

}  // namespace

TEST_CASE("G9_the feed delivers what was committed, in order, once") {
  Office office;
  Feed feed(*office.access);
  Ear ear;
  must(Papers{*office.system}.insert(paper("before")));
  const auto subscription = listen(feed, *office.system, ear);
  drain(feed);
  CHECK(ear.heard.empty());
  Paper a = must(Papers{*office.system}.insert(paper("a")));
  must(Papers{*office.system}.insert_all({paper("b"), paper("c")}));
  a.title = "a2";
  must(Papers{*office.system}.update(a));
  must(Papers{*office.system}.remove(a.id));
  const auto failed = office.system->write([&](Unit& unit) -> Result<void> {
    must(Papers{unit}.insert(paper("never")));
    return fail(Code::cancelled, "no");
  });
  CHECK(!failed);
  CHECK(feed.pending());
  drain(feed);
  CHECK(!feed.pending());
  CHECK(ear.heard == Heard{"insert a", "insert b", "insert c", "update a>a2", "remove"});
  CHECK(std::is_sorted(ear.sequences.begin(), ear.sequences.end()));
  CHECK(subscription.position() == ear.sequences.back());
  drain(feed);
  CHECK(ear.heard.size() == 5);
}

TEST_CASE("G9_a subscriber goes on from the number where it was") {
  Office office;
  std::int64_t place = 0;
  Ear first;
  {
    Feed feed(*office.access);
    const auto subscription = listen(feed, *office.system, first);
    must(Papers{*office.system}.insert_all({paper("a"), paper("b")}));
    // Leaves in the middle of a record.
    first.then = [&](const RowEvent<Paper>& event) {
      if (place == 0) place = event.sequence;
    };
    drain(feed);
  }
  must(Papers{*office.system}.insert(paper("c")));
  Feed feed(*office.access);
  Ear second;
  const auto subscription = listen(feed, *office.system, second, {{}, place});
  drain(feed);
  must(Papers{*office.system}.insert(paper("d")));
  drain(feed);
  CHECK(second.heard == Heard{"insert b", "insert c", "insert d"});
}

TEST_CASE("G9_rows come into sight as inserts and leave it as removals") {
  Office office(own_papers());
  const User ann = office.add_user("ann", "agent");
  const User bob = office.add_user("bob", "agent");
  Feed feed(*office.access);
  Ear ear;
  const auto subscription = listen(feed, office.session(ann), ear);
  Paper p = must(Papers{*office.system}.insert(of(bob, "p")));
  p.title = "q";
  p = must(Papers{*office.system}.update(p));
  drain(feed);
  CHECK(ear.heard.empty());
  p.owner = ann.id;
  p = must(Papers{*office.system}.update(p));
  p.title = "r";
  p = must(Papers{*office.system}.update(p));
  drain(feed);
  CHECK(ear.heard == Heard{"insert q", "update q>r"});
  p.owner = bob.id;
  p = must(Papers{*office.system}.update(p));
  must(Papers{*office.system}.remove(p.id));
  drain(feed);
  CHECK(ear.heard == Heard{"insert q", "update q>r", "remove"});
}

TEST_CASE("G9_a predicate narrows, and rows cross its border too") {
  Office office;
  Feed feed(*office.access);
  Ear ear;
  const auto subscription =
      listen(feed, *office.system, ear, {col(&Paper::level) >= Level::high, {}});
  Paper p = must(Papers{*office.system}.insert(paper("p")));
  p.level = Level::high;
  p = must(Papers{*office.system}.update(p));
  p.level = Level::middle;
  must(Papers{*office.system}.update(p));
  drain(feed);
  CHECK(ear.heard == Heard{"insert p", "remove"});
}

TEST_CASE("G9_when rights change the subscriber is told to resync before what comes after") {
  Office office(own_papers());
  const User ann = office.add_user("ann", "agent");
  const Team team = office.add_team("front");
  Feed feed(*office.access);
  Ear ear;
  const auto subscription = listen(feed, office.session(ann), ear);
  Paper p = paper("p");
  p.team = team.id;
  p = must(Papers{*office.system}.insert(p));
  drain(feed);
  CHECK(ear.heard.empty());
  const Membership membership = office.join(ann, team);  // the policy reads memberships
  p.title = "q";
  p = must(Papers{*office.system}.update(p));
  drain(feed);
  CHECK(ear.heard == Heard{"resync", "update p>q"});
  must(Repository<Membership>{*office.system}.remove(membership.id));
  p.title = "r";
  p = must(Papers{*office.system}.update(p));
  drain(feed);
  CHECK(ear.heard == Heard{"resync", "update p>q", "resync"});
}

TEST_CASE("G9_an account that is disabled hears nothing more; new accounts disturb nobody") {
  Office office(own_papers());
  User ann = office.add_user("ann", "agent");
  Feed feed(*office.access);
  Ear ear;
  const auto subscription = listen(feed, office.session(ann), ear);
  office.add_user("bob", "customer");
  drain(feed);
  CHECK(ear.heard.empty());
  ann.status = UserStatus::disabled;
  ann = must(Users{*office.system}.update(ann));
  must(Papers{*office.system}.insert(of(ann, "p")));
  drain(feed);
  CHECK(ear.heard == Heard{"resync"});
  ann.status = UserStatus::active;
  must(Users{*office.system}.update(ann));
  must(Papers{*office.system}.insert(of(ann, "q")));
  drain(feed);
  CHECK(ear.heard == Heard{"resync", "resync", "insert q"});
}

TEST_CASE("G9_rights are judged at delivery, also between two events") {
  Office office(own_papers());
  User ann = office.add_user("ann", "agent");
  Feed feed(*office.access);
  Ear ear;
  const auto subscription = listen(feed, office.session(ann), ear);
  must(Papers{*office.system}.insert_all({of(ann, "a"), of(ann, "b")}));
  ear.then = [&](const RowEvent<Paper>&) {
    if (ear.heard.size() != 1) return;
    ann.status = UserStatus::disabled;
    must(Users{*office.system}.update(ann));
  };
  drain(feed);
  CHECK(ear.heard == Heard{"insert a", "resync"});
}

TEST_CASE("G9_a number that is no longer kept, or was never reached, is gone") {
  Office office;
  Feed feed(*office.access);
  must(Papers{*office.system}.insert_all({paper("a"), paper("b")}));
  const std::int64_t old = must(feed.head());
  must(Papers{*office.system}.insert(paper("c")));
  must(Papers{*office.system}.insert(paper("d")));
  must(office.database->trim_journal(old + 1));
  Ear trimmed;
  const auto subscription = listen(feed, *office.system, trimmed, {{}, old});
  Ear kept;
  const auto other = listen(feed, *office.system, kept, {{}, old + 1});
  Ear beyond;
  const auto third = listen(feed, *office.system, beyond, {{}, old + 100});
  drain(feed);
  CHECK(trimmed.heard == Heard{"gone"});
  CHECK(!subscription.active());
  CHECK(kept.heard == Heard{"insert d"});
  CHECK(beyond.heard == Heard{"gone"});
  CHECK(code_of(feed.poll_changes(*office.system, table_of<Paper>(), {}, old, 10)) == Code::gone);
  CHECK(code_of(feed.poll_changes(*office.system, table_of<Paper>(), {}, old + 9, 10)) ==
        Code::gone);
}

TEST_CASE("G9_one who resumes is told that rights changed while he was away") {
  Office office(own_papers());
  const User ann = office.add_user("ann", "agent");
  const Team team = office.add_team("front");
  Feed feed(*office.access);
  const std::int64_t place = must(feed.head());
  must(Papers{*office.system}.insert(of(ann, "a")));
  Ear undisturbed;
  const auto first = listen(feed, office.session(ann), undisturbed, {{}, place});
  office.join(ann, team);
  Ear away;
  const auto second = listen(feed, office.session(ann), away, {{}, place});
  drain(feed);
  CHECK(away.heard == Heard{"resync", "insert a"});
  const auto page = must(feed.poll_changes(office.session(ann), table_of<Paper>(), {}, place, 100));
  REQUIRE(page.events.size() == 2);
  CHECK(page.events[0].kind == FeedKind::resync);
  CHECK(page.events[1].kind == FeedKind::insert);
  CHECK(page.next == must(feed.head()));
  CHECK(!page.more);
}

TEST_CASE("G9_a table whose journal does not say what was tells no hidden row") {
  Office office(own_papers());
  const User ann = office.add_user("ann", "agent");
  const User bob = office.add_user("bob", "agent");
  Feed feed(*office.access);
  std::vector<std::string> heard;
  const auto subscription =
      must(feed.subscribe<Note>(office.session(ann), {}, [&](const RowEvent<Note>& event) {
        heard.push_back(std::string(to_string(event.kind)) +
                        (event.after ? " " + event.after->text : ""));
        CHECK(!event.before);
      }));
  Note note;
  note.text = "a";
  note.owner = bob.id;
  note = must(Notes{*office.system}.insert(note));
  note.text = "b";
  note = must(Notes{*office.system}.update(note));
  drain(feed);
  CHECK(heard.empty());
  note.owner = ann.id;
  note = must(Notes{*office.system}.update(note));
  note.text = "c";
  note = must(Notes{*office.system}.update(note));
  note.owner = bob.id;
  note = must(Notes{*office.system}.update(note));
  drain(feed);
  CHECK(heard == Heard{"insert b", "update c", "resync"});
}

TEST_CASE("G9_where is followed in a journal that does not say what was, without a resync") {
  Office office(own_papers());
  const User ann = office.add_user("ann", "agent");
  const User bob = office.add_user("bob", "agent");
  Feed feed(*office.access);
  SeededRandom random(20261121);
  const Predicate where = col(&Note::text) == "a" || col(&Note::text) == "b";
  std::map<std::int64_t, std::string> copy;
  int resyncs = 0;
  const auto subscription =
      must(feed.subscribe<Note>(office.session(ann), {where, {}}, [&](const RowEvent<Note>& event) {
        if (event.kind == FeedKind::resync) {
          ++resyncs;
        } else if (event.kind == FeedKind::remove) {
          copy.erase(event.id.value);
        } else {
          copy[event.id.value] = event.after->text;
        }
      }));
  std::vector<Note> notes;
  for (int i = 0; i < 20; ++i) {
    Note note;
    note.text = "a";
    note.owner = i % 2 == 0 ? ann.id : bob.id;
    notes.push_back(must(Notes{*office.system}.insert(note)));
  }
  for (int i = 0; i < 500; ++i) {
    Note& note = notes[random.below(notes.size())];
    note.text = std::string(1, static_cast<char>('a' + random.below(4)));
    note = must(Notes{*office.system}.update(note));
    if (random.below(5) == 0) drain(feed);
  }
  drain(feed);
  std::map<std::int64_t, std::string> expected;
  for (const Note& note : must(Notes{office.session(ann)}.list({.where = where}))) {
    expected[note.id.value] = note.text;
  }
  CHECK(!expected.empty());
  CHECK(copy == expected);
  CHECK(resyncs == 0);
}

TEST_CASE("secret values are in no event") {
  Office office;
  Feed feed(*office.access);
  std::vector<std::vector<std::uint16_t>> changed;
  const auto subscription =
      must(feed.subscribe(*office.system, table_of<Paper>(), {}, [&](const FeedEvent& event) {
        const std::size_t token = table_of<Paper>().find("token")->index;
        CHECK(event.after[token].is_null());
        if (!event.before.empty()) CHECK(event.before[token].is_null());
        changed.emplace_back(event.changed.begin(), event.changed.end());
      }));
  Paper p = paper("p");
  p.token = "hush";
  p = must(Papers{*office.system}.insert(p));
  p.token = "other";
  must(Papers{*office.system}.update(p));
  drain(feed);
  REQUIRE(changed.size() == 2);
  CHECK(changed[1].size() == 1);  // the version; not the token
  CHECK(code_of(feed.subscribe(*office.system, table_of<Paper>(),
                               {col(&Paper::token) == "hush", {}}, [](const FeedEvent&) {})) ==
        Code::forbidden);
}

TEST_CASE("what cannot be subscribed to is refused") {
  Office office;
  Feed feed(*office.access);
  const auto now = must(Predicate::parse(table_of<Paper>(), "created_at < now()"));
  CHECK(code_of(feed.subscribe(*office.system, table_of<Paper>(), {now, {}},
                               [](const FeedEvent&) {})) == Code::invalid);
}

TEST_CASE("a callback that throws ends its own subscription and no other") {
  Office office;
  Feed feed(*office.access);
  Ear good;
  Ear bad;
  bad.then = [](const RowEvent<Paper>&) { throw std::runtime_error("oops"); };
  const auto first = listen(feed, *office.system, bad);
  const auto second = listen(feed, *office.system, good);
  must(Papers{*office.system}.insert_all({paper("a"), paper("b")}));
  drain(feed);
  CHECK(bad.heard == Heard{"insert a"});
  CHECK(!first.active());
  CHECK(good.heard == Heard{"insert a", "insert b"});
  CHECK(office.logged == std::vector<std::string>{"a callback threw; its subscription ends"});
}

TEST_CASE("a subscription may end in its own callback") {
  Office office;
  Feed feed(*office.access);
  Ear ear;
  FeedSubscription subscription;
  ear.then = [&](const RowEvent<Paper>&) { subscription = FeedSubscription(); };
  subscription = listen(feed, *office.system, ear);
  must(Papers{*office.system}.insert_all({paper("a"), paper("b")}));
  drain(feed);
  CHECK(ear.heard == Heard{"insert a"});
}

TEST_CASE("a callback may write, subscribe and pump") {
  Office office;
  Feed feed(*office.access);
  Ear ear;
  Ear late;
  FeedSubscription second;
  ear.then = [&](const RowEvent<Paper>& event) {
    if (event.after->title != "a") return;
    must(Papers{*office.system}.insert(paper("from the callback")));
    second = listen(feed, *office.system, late);
    feed.pump();
  };
  const auto subscription = listen(feed, *office.system, ear);
  must(Papers{*office.system}.insert(paper("a")));
  drain(feed);
  must(Papers{*office.system}.insert(paper("z")));
  drain(feed);
  CHECK(ear.heard == Heard{"insert a", "insert from the callback", "insert z"});
  CHECK(late.heard == Heard{"insert z"});
}

TEST_CASE("G9_a slow subscriber that falls behind the ring reads from the database") {
  Office office;
  Feed feed(*office.access, {}, {2'000});  // a few records
  Ear slow;
  const auto subscription = listen(feed, *office.system, slow);
  Heard expected;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 50; ++i) {
      const std::string title = std::to_string(round) + "." + std::to_string(i);
      must(Papers{*office.system}.insert(paper(title)));
      expected.push_back("insert " + title);
    }
    feed.pump(7);  // not enough for all
  }
  drain(feed);
  CHECK(slow.heard == expected);
}

TEST_CASE("G9_writers and pumps on several threads lose, repeat and reorder nothing") {
  Office office(own_papers());
  const User ann = office.add_user("ann", "agent");
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable woken;
  std::uint64_t wakes = 0;
  Feed feed(*office.access,
            [&] {
              const std::lock_guard lock(mutex);
              ++wakes;
              woken.notify_all();
            },
            {20'000});
  constexpr int writers = 3;
  constexpr int each = 60;
  struct Subscriber {
    std::atomic<int> inside{0};
    std::vector<std::int64_t> sequences;
    std::vector<Id<Paper>> ids;
    std::atomic<int> count{0};
  };
  std::vector<std::unique_ptr<Subscriber>> subscribers;
  std::vector<FeedSubscription> subscriptions;
  const Session session = office.session(ann);
  for (int i = 0; i < 6; ++i) {
    auto& s = *subscribers.emplace_back(std::make_unique<Subscriber>());
    subscriptions.push_back(must(feed.subscribe<Paper>(session, {}, [&s](const auto& event) {
      CHECK(s.inside.fetch_add(1) == 0);
      s.sequences.push_back(event.sequence);
      s.ids.push_back(event.id);
      s.inside.fetch_sub(1);
      s.count.fetch_add(1);
    })));
  }
  std::vector<std::thread> threads;
  for (int p = 0; p < 2; ++p) {
    threads.emplace_back([&] {
      while (!stop) {
        std::uint64_t seen = 0;
        {
          const std::lock_guard lock(mutex);
          seen = wakes;
        }
        while (feed.pump(16)) {
        }
        std::unique_lock lock(mutex);
        woken.wait(lock, [&] { return wakes != seen || stop; });
      }
    });
  }
  std::vector<std::thread> writing;
  for (int w = 0; w < writers; ++w) {
    writing.emplace_back([&, w] {
      for (int i = 0; i < each; ++i) {
        must(Papers{*office.system}.insert(of(ann, std::to_string(w) + "." + std::to_string(i))));
      }
    });
  }
  for (auto& t : writing) t.join();
  // Nobody pumps on their behalf: what was committed must arrive by the wakes alone.
  for (const auto& s : subscribers) {
    while (s->count < writers * each) std::this_thread::yield();
  }
  {
    const std::lock_guard lock(mutex);
    stop = true;
    woken.notify_all();
  }
  for (auto& t : threads) t.join();
  for (const auto& s : subscribers) {
    CHECK(s->sequences.size() == writers * each);
    CHECK(std::is_sorted(s->sequences.begin(), s->sequences.end()));
    CHECK(std::adjacent_find(s->sequences.begin(), s->sequences.end()) == s->sequences.end());
    CHECK(s->ids == subscribers[0]->ids);
  }
}

TEST_CASE("ending a subscription waits for its callback on another thread") {
  Office office;
  Feed feed(*office.access);
  std::atomic<bool> inside{false};
  std::atomic<bool> go_on{false};
  std::atomic<bool> done{false};
  auto subscription = must(feed.subscribe<Paper>(*office.system, {}, [&](const auto&) {
    inside = true;
    while (!go_on) std::this_thread::yield();
    done = true;
  }));
  must(Papers{*office.system}.insert(paper("a")));
  std::thread pumping([&] { feed.pump(); });
  while (!inside) std::this_thread::yield();
  // A writer and another subscriber go on meanwhile.
  Ear other;
  const auto second = listen(feed, *office.system, other);
  must(Papers{*office.system}.insert(paper("b")));
  while (other.heard.empty()) feed.pump();
  std::thread ending([&] {
    subscription.end();
    CHECK(done);
  });
  go_on = true;
  ending.join();
  pumping.join();
}

TEST_CASE("while each subscriber is being called, commits wake and read for nobody") {
  class CountingReads : public StorageWrapper {
   public:
    using StorageWrapper::StorageWrapper;
    Result<void> read(Monotonic deadline, ReadClosure closure) override {
      ++reads;
      return inner().read(deadline, closure);
    }
    std::atomic<int> reads{0};
  };
  ManualClock clock;
  const auto storage = std::make_shared<CountingReads>(make_memory_storage(clock));
  Office office({}, storage);
  std::atomic<int> wakes{0};
  Feed feed(*office.access, [&] { ++wakes; });
  std::atomic<bool> inside{false};
  std::atomic<bool> go_on{false};
  Heard heard;
  const auto subscription =
      must(feed.subscribe<Paper>(*office.system, {}, [&](const RowEvent<Paper>& event) {
        inside = true;
        while (!go_on) std::this_thread::yield();
        heard.push_back(event.after->title);
      }));
  must(Papers{*office.system}.insert(paper("a")));
  std::thread pumping([&] {
    while (feed.pump()) {
    }
  });
  while (!inside) std::this_thread::yield();
  const int woken = wakes;
  for (int i = 0; i < 20; ++i) must(Papers{*office.system}.insert(paper(std::to_string(i))));
  CHECK(wakes == woken);
  CHECK_FALSE(feed.pending());
  const int reads = storage->reads;
  CHECK_FALSE(feed.pump());
  CHECK(storage->reads == reads);
  // One more subscriber, and there is somebody to wake; it hears what comes from now on.
  Ear other;
  {
    const auto second = listen(feed, *office.system, other);
    CHECK(wakes == woken + 1);
    must(Papers{*office.system}.insert(paper("z")));
    CHECK(wakes == woken + 2);
    while (other.heard.empty()) feed.pump();
  }
  const int before = wakes;
  must(Papers{*office.system}.insert(paper("last")));
  CHECK(wakes == before);
  // Whoever called the slow one sees to what it missed, without being woken.
  go_on = true;
  pumping.join();
  CHECK(heard.size() == 23);
  CHECK(heard.back() == "last");
}

TEST_CASE("callbacks on two threads may end one another's subscriptions") {
  Office office;
  for (int round = 0; round < 20; ++round) {
    Feed feed(*office.access);
    std::atomic<int> inside{0};
    std::atomic<int> returned{0};
    std::array<FeedSubscription, 2> subscriptions;
    for (const std::size_t mine : {0U, 1U}) {
      subscriptions[mine] = must(feed.subscribe<Paper>(*office.system, {}, [&, mine](const auto&) {
        ++inside;
        while (inside < 2) std::this_thread::yield();
        subscriptions[1 - mine].end();
        ++returned;
      }));
    }
    must(Papers{*office.system}.insert(paper(std::to_string(round))));
    const auto pump = [&] {
      while (inside < 2) feed.pump();
    };
    std::thread one(pump);
    std::thread two(pump);
    one.join();
    two.join();
    CHECK(returned == 2);
    CHECK_FALSE(subscriptions[0].active());
    CHECK_FALSE(subscriptions[1].active());
    must(Papers{*office.system}.insert(paper(std::to_string(round) + " later")));
    while (feed.pump()) {
    }
    CHECK(inside == 2);
  }
}

TEST_CASE("of three callbacks that end one another in a circle only one does not wait") {
  Office office;
  Feed feed(*office.access);
  std::atomic<int> inside{0};
  std::array<FeedSubscription, 3> subscriptions;
  std::array<std::atomic<bool>, 3> returned{};
  std::atomic<int> did_not_wait{0};
  for (const std::size_t mine : {0U, 1U, 2U}) {
    subscriptions[mine] = must(feed.subscribe<Paper>(*office.system, {}, [&, mine](const auto&) {
      ++inside;
      while (inside < 3) std::this_thread::yield();
      const std::size_t next = (mine + 1) % 3;
      subscriptions[next].end();
      // end() returns once the callback has, and `returned` is its last word.
      if (!returned[next]) ++did_not_wait;
      returned[mine] = true;
    }));
  }
  must(Papers{*office.system}.insert(paper("a")));
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (inside < 3) feed.pump();
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(did_not_wait == 1);
}

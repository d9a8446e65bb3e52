// What a subscriber may do in its callback, and subscribers, pumps and writers on several threads.

#include <array>
#include <atomic>
#include <map>
#include <stdexcept>
#include <thread>

#include "access/ear.hpp"

using namespace bureau;
using namespace bureau::office;

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
  const auto storage = std::make_shared<CountingReads>(tests::new_storage(clock));
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

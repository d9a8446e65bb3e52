#include <map>

#include "access/ear.hpp"
#include "store/journal_leap.hpp"

using namespace bureau;
using namespace bureau::office;

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

TEST_CASE("G9_who has heard of what is there no more is told to resync when numbers leap") {
  Office office;
  Feed feed(*office.access);
  const auto draw = [&](std::int64_t count) {
    std::int64_t last = 0;
    must(office.access->database().storage().write({}, [&](Writer& writer) -> Result<void> {
      BUREAU_TRY(last, writer.draw_sequence(count));
      return {};
    }));
    return last;
  };
  const auto kinds = [&](std::int64_t after) {
    std::vector<FeedKind> found;
    const auto page = must(feed.poll_changes(*office.system, table_of<Paper>(), {}, after, 100));
    for (const auto& event : page.events) found.push_back(event.kind);
    return found;
  };
  Ear live, told, too_much;
  const auto goes_on = listen(feed, *office.system, live);
  must(Papers{*office.system}.insert_all({paper("a"), paper("b")}));
  drain(feed);
  const std::int64_t survived = live.sequences.back(), lost = draw(1);
  must(Papers{*office.system}.insert(paper("c")));
  drain(feed);
  CHECK(kinds(lost) == std::vector{FeedKind::insert});
  draw(detail::journal_leap - 100);
  must(Papers{*office.system}.insert(paper("d")));

  const auto knows_all = listen(feed, *office.system, told, {{}, survived});
  const auto knows_more = listen(feed, *office.system, too_much, {{}, lost});
  drain(feed);
  CHECK(live.heard == Heard{"insert a", "insert b", "insert c", "insert d"});
  CHECK(told.heard == Heard{"insert c", "insert d"});
  CHECK(too_much.heard == Heard{"resync", "insert c", "insert d"});
  CHECK(kinds(survived) == std::vector{FeedKind::insert, FeedKind::insert});
  CHECK(kinds(lost) == std::vector{FeedKind::resync, FeedKind::insert, FeedKind::insert});
  must(Papers{*office.system}.insert(paper("e")));
  drain(feed);
  CHECK(too_much.heard == Heard{"resync", "insert c", "insert d", "insert e"});
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

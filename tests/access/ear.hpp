#pragma once

// What the tests of the feed share: papers and their rules, and a subscriber that writes down what
// it hears.

#include <functional>
#include <string>
#include <vector>

#include "access/office.hpp"

namespace bureau::office {

inline Policies own_papers() {
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

inline FeedSubscription listen(Feed& feed, const Session& session, Ear& ear,
                               SubscribeOptions options = {}) {
  return must(feed.subscribe<Paper>(session, std::move(options),
                                    [&ear](const RowEvent<Paper>& event) { ear(event); }));
}

inline void drain(Feed& feed) {
  for (int i = 0; feed.pump(); ++i) REQUIRE(i < 1000);
}

inline Paper of(const User& owner, const std::string& title) {
  Paper p = paper(title);
  p.owner = owner.id;
  return p;
}

}  // namespace bureau::office

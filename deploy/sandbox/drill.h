// A bad night, set up, played and judged: what an operator should live through here before it happens on a
// live key. The list is in drills.cpp; read one, and you can write the next.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <vector>

#include "deploy/sandbox/drill_story.h"
#include "deploy/sandbox/operator.h"
#include "deploy/sandbox/world.h"

namespace keyturn::sandbox {

struct Drill {
  std::string name;                           // as typed: "wrong-account"
  std::string title;                          // "The wrong account"
  std::string sentence;                       // what has gone wrong
  std::vector<std::string> steps;             // for a person who does it
  std::vector<std::string> should_have_seen;  // what to take home
  std::function<void(World&)> scene;          // sets it, before the story begins; may be empty
  std::function<boost::asio::awaitable<void>(Operator&)> play;
  Questions questions;  // by which it is judged, whoever does it
};

const std::vector<Drill>& drills();
const Drill* find_drill(const std::string& name);

}  // namespace keyturn::sandbox

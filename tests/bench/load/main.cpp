// bench_load [emulator]: Slack as a load driver; `emulator`: the sandbox's, which knows neither "say" nor a
// "fault". Says first where it listens ({"port"}; the emulator also {"app_token","bot_token"}), then reads a
// wish per line from standard input and answers each with a line of JSON.
//   {"do":"start","command":[...],"log":FILE}   starts the process to be measured: how long until its first
//   acknowledgement
//   {"do":"say","text":"status"}                what is typed after /rotate from now on
//   {"do":"memory"}
//   {"do":"closed","outstanding":64,"seconds":2}
//   {"do":"open","rate":200,"seconds":5[,"fault":"warning"|"refresh_requested"|"half_open","after":1]}
//   {"do":"stop"}
//   {"do":"limits","folder":FOLDER}
// `bench_load echo API` is the bot that does nothing (limits.h).
#include <iostream>
#include <memory>
#include <stdexcept>

#include "tests/bench/load/emulator_slack.h"
#include "tests/bench/load/lean_slack.h"
#include "tests/bench/load/limits.h"
#include "tests/bench/load/load.h"

namespace {

using namespace keyturn::bench;
using nlohmann::json;

constexpr const char* kCommandText =
    "stripe nowhere";  // a target that there is none of: refused, and journaled
constexpr auto kNoticeBeforeCut = std::chrono::seconds(10);
constexpr auto kWarmUp = std::chrono::milliseconds(500);

Steady::duration seconds_of(const json& wish, const char* name) {
  return std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(wish.value(name, 0.0)));
}

class Driver {
 public:
  // `lean`: `slack`, where it is that one.
  Driver(SlackEnd& slack, LeanSlack* lean) : slack_(slack), lean_(lean) {}

  json answer(const json& wish) {
    const std::string what = wish.at("do");
    if (what == "start") return start(wish);
    if (what == "limits") {
      return {{"sync", sync_microseconds(wish.at("folder"))}, {"loopback", loopback_microseconds()}};
    }
    if (what == "say") {
      lean().say(wish.at("text"));
      return {{"said", true}};
    }
    if (!load_) throw std::invalid_argument("nothing is started");
    if (what == "memory") {
      return {{"resident", subject_->resident_kilobytes()},
              {"own", subject_->own_kilobytes()},
              {"peak", subject_->peak_kilobytes()}};
    }
    if (what == "closed") return load_->closed(wish.at("outstanding"), kWarmUp, seconds_of(wish, "seconds"));
    if (what == "open") {
      return load_->open(wish.at("rate"), seconds_of(wish, "seconds"), seconds_of(wish, "after"),
                         fault(wish.value("fault", "")));
    }
    if (what == "stop") return stop();
    throw std::invalid_argument("unknown wish: " + what);
  }

 private:
  json start(const json& wish) {
    stop();
    const auto began = Steady::now();
    subject_ = std::make_unique<Subject>(wish.at("command"), wish.at("log"));
    load_ = std::make_unique<Load>(slack_, *subject_);
    const Nanoseconds took = load_->until_first_ack(began);
    return {{"ready", static_cast<double>(took.count()) / 1e3}};
  }

  json stop() {
    load_.reset();
    subject_.reset();
    slack_.close_all();
    return {{"stopped", true}};
  }

  std::function<void()> fault(const std::string& name) {
    if (name.empty()) return {};
    if (name == "half_open") return [this] { lean().fall_silent(); };
    return [this, name] { lean().ask_for_refresh(name, kNoticeBeforeCut); };
  }

  LeanSlack& lean() const {
    if (lean_ == nullptr) throw std::invalid_argument("the emulator can't do that here");
    return *lean_;
  }

  SlackEnd& slack_;
  LeanSlack* const lean_;
  std::unique_ptr<Subject> subject_;
  std::unique_ptr<Load> load_;
};

void drive(Driver driver, const json& place) {
  std::cout << place << std::endl;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << driver.answer(json::parse(line)) << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (what == "echo" && argc == 3) {
      echo(argv[2]);
    } else if (what == "emulator") {
      EmulatorSlack slack(kCommandText);
      drive(Driver(slack, nullptr),
            {{"port", slack.port()}, {"app_token", slack.app_token()}, {"bot_token", slack.bot_token()}});
    } else {
      LeanSlack slack(kCommandText);
      drive(Driver(slack, &slack), {{"port", slack.port()}});
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench_load: " << error.what() << '\n';
    return 1;
  }
}

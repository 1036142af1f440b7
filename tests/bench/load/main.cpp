// bench_load: Slack as a load driver. Reads a wish per line from standard input and answers each with a line
// of JSON.
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
  std::uint16_t port() const { return slack_.port(); }

  json answer(const json& wish) {
    const std::string what = wish.at("do");
    if (what == "start") return start(wish);
    if (what == "limits") {
      return {{"sync", sync_microseconds(wish.at("folder"))}, {"loopback", loopback_microseconds()}};
    }
    if (what == "say") {
      envelopes_ = Envelopes(wish.at("text").get<std::string>());
      return {{"said", true}};
    }
    if (!load_) throw std::invalid_argument("nothing is started");
    if (what == "memory") {
      return {{"resident", subject_->resident_kilobytes()}, {"peak", subject_->peak_kilobytes()}};
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
    if (name == "half_open") return [this] { slack_.fall_silent(); };
    return [this, name] { slack_.ask_for_refresh(name, kNoticeBeforeCut); };
  }

  Envelopes envelopes_{kCommandText};
  SlackEnd slack_{envelopes_};
  std::unique_ptr<Subject> subject_;
  std::unique_ptr<Load> load_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 3 && std::string_view(argv[1]) == "echo") {
      echo(argv[2]);
      return 0;
    }
    Driver driver;
    std::cout << json{{"port", driver.port()}} << std::endl;
    for (std::string line; std::getline(std::cin, line);)
      std::cout << driver.answer(json::parse(line)) << std::endl;
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench_load: " << error.what() << '\n';
    return 1;
  }
}

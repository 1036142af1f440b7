#include "tests/bench/load/load.h"

#include <algorithm>
#include <stdexcept>

namespace keyturn::bench {
namespace {

using nlohmann::json;

constexpr auto kReadyLimit = std::chrono::seconds(30);
constexpr auto kStep = std::chrono::milliseconds(50);  // how long a turn waits when nothing is due

double microseconds(Steady::duration time) {
  return static_cast<double>(std::chrono::duration_cast<Nanoseconds>(time).count()) / 1e3;
}
double seconds(Steady::duration time) { return microseconds(time) / 1e6; }

// Nearest rank.
double percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5);
  return sorted[rank];
}

}  // namespace

Load::Load(SlackEnd& slack, const Subject& subject) : slack_(slack), subject_(subject) {
  sent_.reserve(4'000'000);
  acknowledgements_.reserve(4'000'000);
  slack_.on_acknowledged([this](std::uint64_t number, Steady::time_point at, std::string_view frame) {
    if (number < first_ || number - first_ >= sent_.size()) return;  // of a load before this one
    Sent& sent = sent_[number - first_];
    if (sent.acknowledged != Steady::time_point()) return;
    sent.acknowledged = at;
    acknowledgements_.push_back(at);
    if (++acknowledged_ == 1) answer_ = frame;
  });
}

Load::~Load() { slack_.on_acknowledged({}); }

void Load::begin() {
  first_ += sent_.size();
  sent_.clear();
  acknowledgements_.clear();
  acknowledged_ = 0;
}

void Load::send_one(Steady::time_point due) {
  const std::uint64_t number = first_ + sent_.size();
  sent_.push_back({.due = due, .acknowledged = {}});
  slack_.send(number);
}

Nanoseconds Load::until_first_ack(Steady::time_point began) {
  begin();
  const auto limit = began + kReadyLimit;
  while (slack_.sockets() == 0 && Steady::now() < limit) slack_.turn(limit);
  send_one(Steady::now());
  while (acknowledged_ == 0 && Steady::now() < limit) slack_.turn(limit);
  if (acknowledged_ == 0) throw std::runtime_error("nobody acknowledged the first envelope");
  return sent_.front().acknowledged - began;
}

json Load::closed(int outstanding, Steady::duration warm_up, Steady::duration measured) {
  begin();
  const auto from = Steady::now() + warm_up;
  const auto to = from + measured;
  std::size_t first = 0;
  bool counting = false;
  Nanoseconds spent_before{};
  for (auto now = Steady::now(); now < to; now = Steady::now()) {
    if (!counting && now >= from) {
      counting = true;
      first = acknowledged_;
      spent_before = subject_.processor_time();
    }
    while (sent_.size() - acknowledged_ < static_cast<std::size_t>(outstanding)) send_one(now);
    slack_.turn(std::min(now + kStep, counting ? to : from));
  }
  const std::size_t count = acknowledged_ - first;
  const Nanoseconds spent = subject_.processor_time() - spent_before;
  const std::size_t before_settling = sent_.size();
  settle();
  json result = summary(0, before_settling);
  result["acks_per_second"] = static_cast<double>(count) / seconds(measured);
  result["processor_microseconds"] =
      microseconds(spent) / static_cast<double>(std::max<std::size_t>(count, 1));
  return result;
}

json Load::open(double rate, Steady::duration measured, Steady::duration fault_after,
                const std::function<void()>& fault) {
  begin();
  const auto from = Steady::now();
  const auto to = from + measured;
  const auto due = [&](std::size_t index) {
    return from + std::chrono::duration_cast<Steady::duration>(
                      std::chrono::duration<double>(static_cast<double>(index) / rate));
  };
  const Nanoseconds spent_before = subject_.processor_time();
  bool faulty = !fault;
  for (auto now = from; now < to; now = Steady::now()) {
    if (!faulty && now >= from + fault_after) {
      faulty = true;
      fault();
    }
    while (due(sent_.size()) <= now) send_one(due(sent_.size()));
    slack_.turn(std::min(due(sent_.size()), to));
  }
  const Nanoseconds spent = subject_.processor_time() - spent_before;
  settle();
  json result = summary(0, sent_.size());
  result["processor_microseconds"] = microseconds(spent) / static_cast<double>(sent_.size());
  return result;
}

// What is under way gets the time that Slack would give it.
void Load::settle() {
  const auto limit = Steady::now() + kAckLimit;
  while (acknowledged_ < sent_.size() && Steady::now() < limit)
    slack_.turn(std::min(limit, Steady::now() + kStep));
}

json Load::summary(std::size_t from, std::size_t to) const {
  std::vector<double> took;
  took.reserve(to - from);
  std::size_t lost = 0;
  for (std::size_t i = from; i < to; ++i) {
    const Sent& sent = sent_[i];
    if (sent.acknowledged == Steady::time_point() || sent.acknowledged - sent.due > kAckLimit) {
      ++lost;
    } else {
      took.push_back(microseconds(sent.acknowledged - sent.due));
    }
  }
  std::ranges::sort(took);
  Steady::duration pause{};
  for (std::size_t i = 1; i < acknowledgements_.size(); ++i) {
    pause = std::max(pause, acknowledgements_[i] - acknowledgements_[i - 1]);
  }
  return {{"sent", to - from},
          {"lost", lost},
          {"p50", percentile(took, 0.5)},
          {"p90", percentile(took, 0.9)},
          {"p99", percentile(took, 0.99)},
          {"max", took.empty() ? 0 : took.back()},
          {"longest_pause", microseconds(pause)},
          {"answer", answer_}};
}

}  // namespace keyturn::bench

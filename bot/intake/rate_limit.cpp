#include "bot/intake/rate_limit.h"

#include <algorithm>

namespace keyturn::bot {

namespace {
const std::string kEverybodyElse;  // no peer has an empty address
}

RateLimit::RateLimit(int count, storage::Duration period, std::size_t most_peers)
    : count_(count), period_(period), most_peers_(most_peers) {}

bool RateLimit::allow(const std::string& peer, storage::TimePoint now) {
  if (!buckets_.contains(peer) && buckets_.size() >= most_peers_) forget_the_full(now);
  const bool room = buckets_.contains(peer) || buckets_.size() < most_peers_;
  const auto [bucket, made] =
      buckets_.try_emplace(room ? peer : kEverybodyElse, Bucket{.left = count_, .at = now});
  // A clock that was wrong and is set back shuts nobody out for longer than a period.
  const auto at = std::max(now, std::min(bucket->second.at, now + storage::Duration(period_)));
  bucket->second = {.left = filled(bucket->second, now), .at = at};
  if (bucket->second.left < 1) return false;
  bucket->second.left -= 1;
  return true;
}

double RateLimit::filled(const Bucket& bucket, storage::TimePoint now) const {
  // A clock that was set back fills nothing and takes nothing.
  const auto passed = std::max(now - bucket.at, storage::Duration::zero());
  const double share = std::chrono::duration<double>(passed) / std::chrono::duration<double>(period_);
  return std::min(count_, bucket.left + share * count_);
}

void RateLimit::forget_the_full(storage::TimePoint now) {
  std::erase_if(buckets_, [&](const auto& entry) { return filled(entry.second, now) >= count_; });
}

}  // namespace keyturn::bot

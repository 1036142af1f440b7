// How often one peer may try: so many at once, filling up again over the period (a token bucket for each
// peer). Memory is bounded: peers that are full again are forgotten, and when too many are remembered, new
// ones share one bucket. Thread: one. Pure: the time is a parameter.
#pragma once

#include <map>
#include <string>

#include "storage/clock.h"

namespace keyturn::bot {

class RateLimit {
 public:
  RateLimit(int count, storage::Duration period, std::size_t most_peers = 10'000);

  // Whether this one is within the limit; counts it when it is.
  bool allow(const std::string& peer, storage::TimePoint now);
  std::size_t remembered() const { return buckets_.size(); }

 private:
  struct Bucket {
    double left = 0;
    storage::TimePoint at;
  };
  double filled(const Bucket& bucket, storage::TimePoint now) const;
  void forget_the_full(storage::TimePoint now);

  double count_;
  storage::Duration period_;
  std::size_t most_peers_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace keyturn::bot

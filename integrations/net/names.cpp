#include "integrations/net/names.h"

#include <spdlog/fmt/fmt.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "integrations/net/connect.h"

namespace keyturn::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyTime = std::chrono::steady_clock::time_point;

namespace {

constexpr auto kKept = std::chrono::seconds(30);

void ask_the_system(const asio::any_io_executor& io, const std::string& host,
                    std::function<void(Found)> done) {
  auto resolver = std::make_shared<tcp::resolver>(io);
  resolver->async_resolve(
      host, "", tcp::resolver::address_configured,
      [resolver, done = std::move(done)](error_code error, const tcp::resolver::results_type& results) {
        Found found;
        if (error) found.error = in_words(error);
        for (const auto& entry : results) found.addresses.push_back(entry.endpoint().address());
        done(std::move(found));
      });
}

}  // namespace

// Owned by whoever waits for it as well: its name may be forgotten meanwhile.
struct Names::Lookup {
  explicit Lookup(const asio::any_io_executor& io) : ended(io, SteadyTime::max()) {}
  asio::steady_timer ended;  // cancelled when `found` is there
  std::optional<Found> found;
  SteadyTime since;  // when it was found
};

Names::Names() : Names(ask_the_system, kKept) {}

Names::Names(LookUp look_up, storage::Duration kept) : look_up_(std::move(look_up)), kept_(kept) {}

void Names::forget(const std::string& host) {
  // One that is under way is newer than what failed.
  if (const auto known = lookups_.find(host); known != lookups_.end() && known->second->found) {
    lookups_.erase(known);
  }
}

std::shared_ptr<Names::Lookup> Names::lookup(const asio::any_io_executor& io, const std::string& host) {
  auto& known = lookups_[host];
  const auto oldest = std::chrono::steady_clock::now() - kept_;
  const bool usable =
      known && (!known->found || (!known->found->addresses.empty() && known->since >= oldest));
  if (usable) return known;
  auto lookup = std::make_shared<Lookup>(io);
  look_up_(io, host, [lookup](Found found) {
    lookup->found = std::move(found);
    lookup->since = std::chrono::steady_clock::now();
    lookup->ended.cancel();
  });
  known = lookup;  // only now: one that could not begin would be waited for again and again
  return lookup;
}

asio::awaitable<std::vector<asio::ip::address>> Names::addresses(std::shared_ptr<Names> names,
                                                                 std::string host) {
  error_code no_address;
  const auto address = asio::ip::make_address(host, no_address);
  if (!no_address) co_return std::vector{address};

  const auto lookup = names->lookup(co_await asio::this_coro::executor, host);
  error_code woken;
  if (!lookup->found) co_await lookup->ended.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  co_await throw_if_cancelled();
  if (!lookup->found || lookup->found->addresses.empty()) {
    throw NetError(
        fmt::format("{} has no address: {}", host, lookup->found ? lookup->found->error : "no answer"),
        false);
  }
  co_return lookup->found->addresses;
}

}  // namespace keyturn::net

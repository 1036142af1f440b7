#include "commands/rotation/lock.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace keyturn::commands::rotation {

namespace asio = boost::asio;

asio::awaitable<Lock::Held> Lock::acquire() {
  while (held_) {
    // A timer that never fires: cancelling it is the wake-up.
    auto turn = std::make_shared<asio::steady_timer>(io_, asio::steady_timer::time_point::max());
    waiting_.push_back(turn);
    boost::system::error_code ignored;
    co_await turn->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    const auto cancelled = co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none) {
      if (!held_) release();  // our turn may have come together with the cancellation: pass it on
      throw boost::system::system_error(asio::error::operation_aborted);
    }
  }
  held_ = true;
  co_return Held(*this);
}

void Lock::release() {
  held_ = false;
  while (!waiting_.empty()) {
    const auto next = waiting_.front().lock();
    waiting_.pop_front();
    if (next) {
      next->cancel();
      return;
    }
  }
}

}  // namespace keyturn::commands::rotation

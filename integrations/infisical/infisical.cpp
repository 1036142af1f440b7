// The calls to Infisical: who is logged in, and one call after the other. See infisical.h; requests.h and
// answers.h hold what is said and what it means.
#include "integrations/infisical/infisical.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <optional>
#include <utility>

#include "integrations/http_failure.h"
#include "integrations/infisical/answers.h"
#include "integrations/infisical/requests.h"

namespace keyturn::infisical {
namespace {

using integrations::ApiError;
using integrations::Call;
using integrations::Effect;
using integrations::SecretAddress;
using integrations::System;
using storage::SharedSecret;
using storage::TimePoint;

constexpr std::chrono::seconds kLimit{10};
constexpr std::chrono::seconds kLogOutLimit{3};
// A token is replaced this long before it ends, so that no call is under way when it does.
constexpr std::chrono::seconds kMargin{60};
// How long a refused login is remembered instead of repeated. Wrong ones in a row lock the identity, and so
// does every further attempt, for minutes.
constexpr std::chrono::seconds kRefusalLife{60};

// Lets one coroutine through at a time.
class Gate {
 public:
  class Pass {
   public:
    explicit Pass(Gate& gate) : gate_(&gate) { gate.taken_ = true; }
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->open();
    }

   private:
    Gate* gate_;
  };

  boost::asio::awaitable<Pass> enter() {
    if (!waiting_) waiting_.emplace(co_await boost::asio::this_coro::executor, TimePointOfTimer::max());
    while (taken_) {
      boost::system::error_code woken;
      co_await waiting_->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
    }
    co_return Pass(*this);
  }

 private:
  using TimePointOfTimer = boost::asio::steady_timer::time_point;

  // Wakes all, not one: the one could itself have been cancelled, and then nobody would enter again.
  void open() {
    taken_ = false;
    waiting_->cancel();
  }

  bool taken_ = false;
  std::optional<boost::asio::steady_timer> waiting_;
};

Call named(std::string operation, Effect effect = Effect::none) {
  return {.system = System::infisical, .operation = std::move(operation), .effect = effect};
}

}  // namespace

class Infisical::Client {
 public:
  using Build = std::function<net::Request(Generation)>;

  Client(net::HttpClient& http, const storage::Clock& clock, std::string base, Credentials credentials,
         Observer observer)
      : http_(http),
        clock_(clock),
        api_(api_base(std::move(base))),
        credentials_(std::move(credentials)),
        observer_(std::move(observer)) {}

  const std::string& api() const { return api_; }

  // The answer of a call about a secret, from whichever API the server has.
  boost::asio::awaitable<net::Response> call_secrets(Call call, Build build) {
    net::Response response = co_await this->call(call, build(generation_));
    if (!route_is_missing(response)) co_return response;
    generation_ = generation_ == Generation::v4 ? Generation::v3 : Generation::v4;
    co_return co_await this->call(std::move(call), build(generation_));
  }

  // Sends with a token; once more with a new one when the server refused that.
  boost::asio::awaitable<net::Response> call(Call call, net::Request request) {
    request.bearer = co_await token();
    net::Response response = co_await send(call, request);
    if (!token_was_refused(response)) co_return response;
    forget(request.bearer);
    request.bearer = co_await token();
    co_return co_await send(std::move(call), std::move(request));
  }

  boost::asio::awaitable<void> be_logged_in() { co_await token(); }

  boost::asio::awaitable<void> log_out() {
    const SharedSecret token = std::exchange(token_, nullptr);
    if (!token) co_return;
    try {
      const net::Response response = co_await http_.send(revoke_request(api_, *token), kLogOutLimit);
      observe("log out", integrations::outcome_of(response.status, Effect::none));
    } catch (const std::exception&) {
      observe("log out", "unreachable");  // the token ends by itself
    }
  }

 private:
  boost::asio::awaitable<SharedSecret> token() {
    const Gate::Pass pass = co_await gate_.enter();
    if (token_ && clock_.now() < replace_at_) co_return token_;
    // Not longer than its life: the clock may have been set back.
    const auto rest = ask_again_at_ - clock_.now();
    if (refusal_ && rest > storage::Duration::zero() && rest <= kRefusalLife) throw ApiError(*refusal_);
    co_return co_await log_in();
  }

  boost::asio::awaitable<SharedSecret> log_in() {
    token_ = nullptr;
    refusal_.reset();
    net::Response response = co_await send(
        named("log in"), login_request(api_, credentials_.client_id, *credentials_.client_secret));
    try {
      const Session session = read_login(response);
      token_ = session.token;
      replace_at_ = clock_.now() + session.life - std::min<storage::Duration>(kMargin, session.life / 2);
    } catch (const ApiError& error) {
      if (error.failure() == integrations::Failure::unauthorized) {
        refusal_ = error.details();
        ask_again_at_ = clock_.now() + kRefusalLife;
      }
      throw;
    }
    co_return token_;
  }

  // Somebody else may have replaced it while our call was under way.
  void forget(const SharedSecret& refused) {
    if (token_ == refused) token_ = nullptr;
  }

  boost::asio::awaitable<net::Response> send(Call call, net::Request request) {
    std::optional<ApiError> failure;
    try {
      net::Response response = co_await http_.send(std::move(request), kLimit);
      observe(call.operation, integrations::outcome_of(response.status, call.effect));
      co_return response;
    } catch (const net::NetError& error) {
      failure = integrations::no_answer(call, error);
    }
    observe(call.operation, std::string(name_of(failure->failure())));
    throw ApiError(*failure);
  }

  void observe(const std::string& operation, const std::string& outcome) {
    if (observer_) observer_(operation, outcome);
  }

  net::HttpClient& http_;
  const storage::Clock& clock_;
  const std::string api_;
  const Credentials credentials_;
  const Observer observer_;
  Gate gate_;  // one login at a time: two at once would be two failures at once
  SharedSecret token_;
  TimePoint replace_at_;
  std::optional<ApiError::Details> refusal_;
  TimePoint ask_again_at_;
  Generation generation_ = Generation::v4;
};

Infisical::Infisical(net::HttpClient& http, const storage::Clock& clock, std::string base,
                     Credentials credentials, Observer observer)
    : client_(std::make_unique<Client>(http, clock, std::move(base), std::move(credentials),
                                       std::move(observer))) {}

Infisical::~Infisical() = default;

boost::asio::awaitable<integrations::StoredSecret> Infisical::read(SecretAddress address,
                                                                   std::optional<int> version) {
  net::Response response = co_await client_->call_secrets(
      named("read the secret"), [this, address, version](Generation generation) {
        return read_request(client_->api(), generation, address, version);
      });
  // Told apart from one that is nowhere, because something else is to be done about it.
  if (!version && secret_is_missing(response)) {
    const net::Response imported =
        co_await client_->call_secrets(named("look for an import"), [this, address](Generation generation) {
          return import_request(client_->api(), generation, address);
        });
    if (const auto from = imported_from(imported, address.name)) throw secret_is_imported(imported, *from);
  }
  if (!version && is_not_there(response)) throw not_there(response, address);
  co_return read_secret(response, address.name, version);
}

boost::asio::awaitable<std::variant<integrations::SecretWritten, integrations::ApprovalPending>>
Infisical::write(SecretAddress address, SharedSecret value, std::string comment, std::string rotation) {
  const Call call = named("write the secret", Effect::write);
  if (!value || value->empty()) {
    throw ApiError({.system = call.system,
                    .failure = integrations::Failure::refused,
                    .operation = call.operation,
                    .reason = "an empty value is never written",
                    .status = 0,
                    .request_id = "",
                    .retry_after = std::nullopt});
  }
  net::Response response =
      co_await client_->call_secrets(call, [this, address, value, comment, rotation](Generation generation) {
        return write_request(client_->api(), generation, address, *value, comment, rotation);
      });
  co_return read_written(response);
}

boost::asio::awaitable<std::vector<integrations::SecretSync>> Infisical::syncs(std::string project) {
  const net::Response response =
      co_await client_->call(named("list the secret syncs"), syncs_request(client_->api(), project));
  co_return read_syncs(response);
}

boost::asio::awaitable<void> Infisical::log_in() { co_await client_->be_logged_in(); }

boost::asio::awaitable<void> Infisical::log_out() { co_await client_->log_out(); }

}  // namespace keyturn::infisical

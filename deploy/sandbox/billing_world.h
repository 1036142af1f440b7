// The application that uses the key ("raxx-api-prod"): GET /api/billing/subscription asks Stripe with the key
// of a dyno that runs now, and answers as healthy as that went. A background job does the same every few
// seconds. Both write to the app's Heroku log, as a real app and its router do. Thread: io only. Stripe is
// called over HTTP, at the address given by connect(). Knobs: {"kind":"broken","on":true}       500 whatever
// Stripe says (a bug that is not the key's)
//        {"kind":"swallow","on":true}      when Stripe refuses: 200 with an error inside
//        {"kind":"job_silent","on":true}   the background job stops
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "deploy/sandbox/heroku_world.h"
#include "deploy/sandbox/timing.h"
#include "deploy/sandbox/vendor.h"
#include "integrations/net/http_client.h"

namespace keyturn::sandbox {

// What one call to Stripe made of the application.
struct BillingOutcome {
  int stripe_status = 0;  // 0: no answer
  bool healthy = false;
  std::string log_line;  // what the app logs
};

// Reads Stripe's answer as the application (stripe-node) would. Pure.
BillingOutcome read_stripe_answer(const std::string& what, int status, const std::string& body);

class BillingWorld final : public Vendor {
 public:
  BillingWorld(const storage::Clock& clock, SandboxTiming timing, HerokuWorld& heroku, std::string app,
               std::string variable);
  ~BillingWorld() override;

  // Where Stripe is ("http://127.0.0.1:4567"). Once, before requests come; without it the app answers 500.
  void connect(boost::asio::any_io_executor io, std::string stripe_url);

  // The background job, until cancelled.
  boost::asio::awaitable<void> run();

  const std::string& app() const { return app_; }
  nlohmann::json state() const override;
  // Everything that needs no call to Stripe: 404, and 503 while no dyno is up.
  net::Response answer(const net::ServerRequest& request) override;

 protected:
  bool turn_knob(const nlohmann::json& knob) override;
  void reset_knobs() override;
  net::Response fault_answer(int status) override;
  boost::asio::awaitable<void> serve(std::shared_ptr<const net::ServerRequest> request,
                                     net::Exchange& exchange) override;

 private:
  struct Knobs {
    bool broken = false;
    bool swallow = false;
    bool job_silent = false;
  };

  boost::asio::awaitable<BillingOutcome> ask_stripe(std::string key, std::string path);
  boost::asio::awaitable<void> run_job_once();
  net::Response outcome_response(const BillingOutcome& outcome) const;
  net::Response unavailable(const net::ServerRequest& request);
  void log_router(const net::ServerRequest& request, const std::string& dyno, int status,
                  storage::Duration took);

  SandboxTiming timing_;
  HerokuWorld& heroku_;
  std::string app_;
  std::string variable_;
  std::string stripe_url_;
  std::unique_ptr<net::HttpClient> stripe_;
  std::optional<BillingOutcome> last_;
  Knobs knobs_;
};

}  // namespace keyturn::sandbox

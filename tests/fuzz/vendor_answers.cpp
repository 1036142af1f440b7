// Bodies that Stripe, Heroku and the billing endpoint (or a proxy in front of them) could answer with. The
// first byte chooses the status. A body may never make a verdict of its own: only 200 grants, and only 401
// can be a death.
#include <array>
#include <cstdlib>

#include "integrations/heroku/answers.h"
#include "integrations/heroku/heroku.h"
#include "integrations/probe/endpoint_probe.h"
#include "integrations/stripe/stripe.h"

namespace {
template <typename Read>
void may_refuse(Read read) {
  try {
    read();
  } catch (const keyturn::integrations::ApiError&) {
    // An answer that it does not understand: the expected outcome.
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace keyturn;
  constexpr std::array statuses = {200, 201, 206, 302, 401, 403, 404, 429, 500};
  if (size == 0) return 0;
  const int status = statuses.at(data[0] % statuses.size());
  const std::string body(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto probe = stripe::read_answer("GET /v1/customers", status, "req_1", body);
  if (probe.answer == integrations::Answer::granted && status != 200) std::abort();
  if (probe.answer == integrations::Answer::expired && status != 401) std::abort();
  if (probe.answer == integrations::Answer::denied && status != 403) std::abort();
  const auto health = probe::read_answer(
      {.url = "https://x", .status = 200, .json_pointer = "/status", .json_equals = "ok"}, status, body);
  if (health.health == integrations::Health::healthy && status != 200) std::abort();
  may_refuse([&] { heroku::read_releases(net::Response(status, {}, body)); });
  may_refuse([&] { heroku::read_dynos(net::Response(status, {}, body)); });
  may_refuse([&] { heroku::read_app(net::Response(status, {}, body)); });
  may_refuse([&] {
    net::Response response(status, {}, body);
    heroku::read_config(response, "STRIPE_RESTRICTED_KEY");
  });
  may_refuse([&] { heroku::read_account(net::Response(status, {}, body)); });
  may_refuse([&] {
    heroku::read_made_release(net::Response(status, {}, body));
    if (status != 201) std::abort();
  });
  may_refuse([&] { heroku::read_log_session(net::Response(status, {}, body)); });
  may_refuse([&] {
    net::Response response(status, {}, body);
    heroku::read_changed(response, "STRIPE_RESTRICTED_KEY", storage::Secret::copy_of("a-value-like-a-key"));
    if (status != 200) std::abort();
  });
  (void)heroku::next_range(net::Response(status, {{"Next-Range", body}}, ""));
  heroku::read_log_line(body);
  return 0;
}

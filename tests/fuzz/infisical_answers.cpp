// Bodies that Infisical (or a proxy in front of it) could answer with. The first byte chooses the status. No
// value is read out of a refusal, and an empty or hidden one is never taken for a key.
#include <array>
#include <cstdlib>

#include "integrations/infisical/answers.h"

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
  constexpr std::array statuses = {200, 201, 302, 400, 401, 403, 404, 429, 500};
  if (size == 0) return 0;
  const int status = statuses.at(data[0] % statuses.size());
  const std::string body(reinterpret_cast<const char*>(data + 1), size - 1);
  may_refuse([&] {
    net::Response response(status, {}, body);
    const auto session = infisical::read_login(response);
    if (status / 100 != 2 || !session.token || session.token->empty()) std::abort();
  });
  for (const auto version : {std::optional<int>(), std::optional(3)}) {
    may_refuse([&] {
      net::Response response(status, {}, body);
      const auto secret = infisical::read_secret(response, "STRIPE_RESTRICTED_KEY", version);
      if (status / 100 != 2) std::abort();
      if (version && secret.version != *version) std::abort();
    });
  }
  may_refuse([&] {
    net::Response response(status, {}, body);
    infisical::read_written(response);
    if (status / 100 != 2) std::abort();
  });
  may_refuse([&] { infisical::read_syncs(net::Response(status, {}, body)); });
  const net::Response response(status, {}, body);
  if (infisical::token_was_refused(response) && status != 401 && status != 403) std::abort();
  (void)infisical::route_is_missing(response);
  (void)infisical::secret_is_missing(response);
  (void)infisical::is_not_there(response);
  if (infisical::imported_from(response, "STRIPE_RESTRICTED_KEY") && status != 200) std::abort();
  return 0;
}

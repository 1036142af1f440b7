// /healthz (the process turns), /readyz (Slack is connected and the journal is writable) and /metrics, on a
// port of their own that stays inside.
#pragma once

#include <functional>

#include "bot/metrics.h"
#include "integrations/net/http_server.h"

namespace keyturn::bot {

struct Readiness {
  bool ready = false;
  std::string why_not;
};

net::Handler status_pages(const Metrics& metrics, std::function<Readiness()> readiness);

}  // namespace keyturn::bot

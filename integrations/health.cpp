#include "integrations/health.h"

namespace keyturn::integrations {

std::string_view name_of(Health health) {
  switch (health) {
    case Health::healthy:
      return "healthy";
    case Health::unhealthy:
      return "unhealthy";
    case Health::unknown:
      return "unknown";
  }
  return "";
}

}  // namespace keyturn::integrations

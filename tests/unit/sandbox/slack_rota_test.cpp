#include "deploy/sandbox/slack_rota.h"

#include <catch2/catch.hpp>

using keyturn::sandbox::Rota;

TEST_CASE("envelopes go to every socket in turn") {
  Rota rota;
  for (int socket : {1, 2, 3}) rota.add(socket);
  std::vector<int> order;
  for (int i = 0; i < 6; ++i) order.push_back(rota.next().value());
  CHECK(order == std::vector<int>{1, 2, 3, 1, 2, 3});
}

TEST_CASE("without a socket an envelope goes nowhere") { CHECK_FALSE(Rota().next().has_value()); }

TEST_CASE("a socket that left is skipped and nobody else loses a turn") {
  Rota rota;
  for (int socket : {1, 2, 3}) rota.add(socket);
  CHECK(rota.next() == 1);
  rota.remove(1);
  CHECK(rota.next() == 2);
  CHECK(rota.next() == 3);
  CHECK(rota.next() == 2);
}

TEST_CASE("the eleventh socket is too many") {
  Rota rota;
  for (int socket = 1; socket <= 10; ++socket) {
    CHECK_FALSE(rota.full());
    rota.add(socket);
  }
  CHECK(rota.full());
}

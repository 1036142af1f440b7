#include "commands/rotation/vault.h"

#include <spdlog/fmt/fmt.h>

#include <cstdint>
#include <stdexcept>

#include "commands/rotation/events.h"
#include "storage/hkdf.h"

namespace keyturn::commands::rotation {

namespace asio = boost::asio;

namespace {
std::string bound_to(const std::string& rotation, std::string_view purpose) {
  return "keyturn/box/v1/" + rotation + "/" + std::string(purpose);
}
}  // namespace

bool opens(const storage::SealingKey& key, const storage::NewBox& box) {
  return storage::unseal(key, box.box, bound_to(box.name.rotation, box.name.purpose)).has_value();
}

Vault::Vault(std::shared_ptr<const storage::SealingKey> key, storage::Journal& journal)
    : key_(std::move(key)),
      journal_(journal),
      fingerprinter_(*key_),
      code_key_(key_->derive("keyturn/form-code/v1")) {}

storage::NewBox Vault::seal(const std::string& rotation, std::string_view purpose,
                            const storage::Secret& secret) const {
  return {.name = {rotation, std::string(purpose)},
          .box = storage::seal(*key_, secret, bound_to(rotation, purpose))};
}

asio::awaitable<storage::SharedSecret> Vault::open(std::string rotation, std::string purpose) const {
  const std::string associated = bound_to(rotation, purpose);
  const auto box = co_await journal_.box({rotation, purpose});
  if (!box) throw std::runtime_error("no sealed " + purpose + " for " + rotation);
  auto secret = storage::unseal(*key_, *box, associated);
  if (!secret) {
    throw DoesNotOpen(fmt::format("the sealed copy of the {} of {} does not open",
                                  purpose == kNewKey   ? "new key"
                                  : purpose == kOldKey ? "old key"
                                                       : "form",
                                  rotation));
  }
  co_return storage::share(std::move(*secret));
}

std::string Vault::form_code(std::string_view token_hash) const {
  const storage::Secret bytes =
      storage::hkdf_sha256(code_key_, /*salt=*/{}, token_hash, sizeof(std::uint64_t));
  std::uint64_t number = 0;
  for (const char byte : bytes.expose()) number = number << 8U | static_cast<unsigned char>(byte);
  return fmt::format("{:06}", number % 1'000'000);
}

}  // namespace keyturn::commands::rotation

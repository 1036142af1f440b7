// What a server's certificate and private key, as files, are worth: read and compared, never served.
// Thread: any; blocks for as long as the files take. Failure: in words, with the file's name.
#pragma once

#include <expected>
#include <string>

#include "storage/clock.h"

namespace keyturn::net {

struct CertificateFacts {
  storage::TimePoint begins;
  storage::TimePoint ends;
  bool key_fits = false;        // the private key is the one of the certificate
  bool names_the_host = false;  // as a browser would judge (RFC 6125)
};

// The first certificate of the file: what follows it is its chain. `host` is a name or an address.
std::expected<CertificateFacts, std::string> inspect_certificate(const std::string& certificate_file,
                                                                 const std::string& private_key_file,
                                                                 const std::string& host);

}  // namespace keyturn::net

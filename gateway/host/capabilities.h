// The capabilities that this process may use, made effective: a container's program that is not root has them as
// permitted by its file (setcap cap_net_admin+p), so that it also starts where it is given none.
// Changes the calling thread; used before any other is started.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "base/result.h"

namespace soleroute::gateway::host {

[[nodiscard]] base::Status raise_permitted_capabilities();

}  // namespace soleroute::gateway::host

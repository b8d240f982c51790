/* The slots of a cluster. Which one a key (or a shard channel) belongs to: common/keyslot.h. */
#pragma once

#include "common/keyslot.h"

#define CLUSTER_SLOTS KEY_SLOTS

/* maxmemory-clients: when all clients together use more memory than it allows, the largest go first. */
#pragma once

#include "server/client.h"

void clients_evict(struct clients *); /* once a turn; one comparison when the limit is off or not reached */
uint64_t clients_memory_limit(struct clients *); /* bytes, 0 = none (a percentage is of maxmemory) */

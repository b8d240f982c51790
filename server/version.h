/* What the server says it is: the version of Redis whose behaviour it has, and its own. */
#pragma once

#define REDIS_VERSION "7.2.4" /* clients gate features on this */
#define OURO_VERSION "0.1.0"

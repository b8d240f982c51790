/* What the files about files share. */
#pragma once

#include "common/bytes.h"

int file_write_all(int fd, struct bytes);   /* 0 or -errno */
int file_sync_folder(const char *path);     /* fsyncs the folder that the path's last name is in; 0 or -errno */

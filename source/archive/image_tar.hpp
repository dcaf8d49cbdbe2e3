#pragma once

#include "core/bytes.hpp"

namespace drunner {

// The tar of an image (what `docker save` writes) without the names in it, so that an engine that
// loads it gets the image by id and moves no tag: the image may come from a stranger's backup.
// Rewrites manifest.json and index.json, leaves `repositories` out, and passes the rest through as
// it comes. Throws Error(archive_refused) where something could smuggle such a file past it,
// Error(archive_damaged) for what is no tar.
ByteSource without_image_names(ByteSource image_tar);

}  // namespace drunner

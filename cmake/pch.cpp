// SPDX-License-Identifier: GPL-3.0-or-later
// Nothing: the object whose precompiled header others use.

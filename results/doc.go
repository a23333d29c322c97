// Package results keeps what a campaign observed, and says what it means.
//
// # Observe once, judge any time
//
// A [Store] holds the frozen plan of a campaign and a journal of [Attempt]
// records: what was observed of each play, never changed afterwards. [Tally]
// judges a store by rules that need not be those of the night it was filled:
// it gives a [Report] with a [Row] for every trial, which [Rank] sorts and
// package export writes. Neither replays anything.
//
// Of all attempts at a play, one counts: the last one that was measured and
// not voided. A [Void] takes an attempt back that turned out to be worthless;
// it is a record too, and deletes nothing. [Reader.Progress] tells which plays
// have no attempt that counts: resuming a campaign is playing those.
//
// # Traffic is one stream
//
// The packets of the device under test are kept as one continuous stream for
// each bench of a session, the idle time between two plays included: headers'
// facts only, in [Traffic] stretches that [Store.AppendObserved] stores in the
// same commit as, or before, the attempts that cite them. An observation of
// packets is stored without them, and has them again when it is read, so that
// rules judge it as they did live; the store refuses one whose packets are not
// in the stream. Judges of whole trials, and later detectors, read the
// stream itself: [Reader.Packets], [Reader.Traffic], and [Reader.Clock], which
// maps it to the wall clock. A [Ranking] ranks plays among what the device sends
// of its own accord, and [Compare] says what another judging changes.
//
// # One writer, any number of readers
//
// [Create] and [Open] return a Store, whose process holds the campaign's lock;
// a second one gets a [LockedError]. The kernel releases the lock when the
// process ends, by kill -9 too, so there is nothing to clean up by hand.
// [View] returns a [Reader], with a runner at work or without, and on a
// read-only file system. While a runner is at work, View gets a copy of the
// store from it through a local socket, as of its last commit; the copy needs
// room in the folder for temporary files.
//
// # What is safe
//
// [Store.AppendObserved] is one synced commit of all it is given: once it has
// returned, that survives a kill, a loss of power and a full disk. Create
// leaves a whole store or none.
//
// Damage is found, not repaired: the structure of the file is checked when it
// is opened, every record has a checksum when it is read, and each bucket
// counts its records. What does not add up is [ErrDamaged], and a store that
// was found damaged when opened has not been written to. One thing can't be
// told from a commit cut short by a loss of power: damage to the last commit's
// meta page takes that commit back.
//
// # On the disk
//
// A campaign's folder holds, of this package,
//
//	store.db      the store
//	store.db.new  a store that is being made
//	lock          locked (flock) by the runner; its PID, host and start as JSON
//	socket        where the runner serves copies, mode 0600
//
// The store is a bbolt file with seven buckets:
//
//	header     "schema" -> version, big-endian uint32; "campaign" -> Campaign
//	trials     the plan, in plan order
//	sessions   the sessions
//	attempts   the attempts, as they came
//	voids      the voids, as they came
//	clock      pairs of instant and wall time, as they came
//	packets    stretches of traffic, the last of which grows
//
// The keys of packets are session and bench, as big-endian uint32, and the end
// of the stretch, as big-endian int64 with its sign bit turned over; the
// bucket's sequence is how many there are. The keys of all others but the
// header are 1, 2, 3, ... as big-endian uint64, and a bucket's sequence is its
// last key. Every value begins with the CRC-32C of
// bucket name, key and the rest, little-endian; the rest is CBOR (RFC 8949)
// with small integers for field names. Attempts and voids name their trial by
// its place in the plan. Scores are little-endian float32. The wire types in
// wire.go are the schema: a field added there is a new schema version, and a
// program refuses a store of a version above its own with [ErrNewerSchema]. It
// reads one of a version below, and makes it one of its own when it continues
// it.
//
// # Limits
//
// A plan has at most 16 million plays and a record at most 4 MiB. Times are
// kept from 1678 to 2262, to the nanosecond, and come back in UTC. Text that is
// not UTF-8 comes back with U+FFFD in the place of what is not. The file is in
// the byte order of the machine, as all of bbolt's files are. Linux only.
package results

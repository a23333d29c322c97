package results

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Store is a campaign's store, open for writing by its only runner. Its
// methods can be used by several goroutines. Its embedded Reader reads what
// was appended so far.
type Store struct {
	*Reader
	lock   *lock
	server *server

	mu       sync.Mutex // held while appending; guards what follows
	last     []int32    // by slot: the number of the play's last attempt
	sessions uint32     // the last session's ID
}

// newName is what a store is called while it is being made.
const newName = storeName + ".new"

// readersPatience is how long a runner that starts waits for those who read
// the store directly. They need a second or two.
const readersPatience = 10 * time.Second

// Create makes the campaign's store in the folder, which it makes if need be,
// and opens it. What is planned is frozen: it can't be changed later. Without
// candidates the trials are all there will be; with them they are the first
// batch, and [Store.Plan] adds the others. A kill or a loss of power in the
// middle leaves no store, or a whole one.
//
// Errors wrap ErrExists, ErrFull or ErrReadOnly where one fits, or are a
// *LockedError.
func Create(dir string, c Campaign, trials []Trial, candidates ...Candidate) (*Store, error) {
	batches := []int{len(trials)}
	if len(candidates) == 0 {
		batches = append(batches, 0)
	}
	if _, err := newPlan(trials, batches); err != nil {
		return nil, fmt.Errorf("create campaign %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, explain(dir, err)
	}
	lock, err := acquire(dir)
	if err != nil {
		return nil, err
	}
	err = create(dir, func(tx *bbolt.Tx) error {
		if err := putSealed(tx.Bucket(headerBucket), headerBucket, campaignKey, encodeCampaign(c)); err != nil {
			return err
		}
		for _, candidate := range candidates {
			if err := put(tx, candidatesBucket, encodeCandidate(candidate)); err != nil {
				return err
			}
		}
		return putBatches(tx, trials, batches)
	})
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return open(dir, lock)
}

func create(dir string, fill func(*bbolt.Tx) error) error {
	if _, err := os.Stat(storePath(dir)); err == nil {
		return fmt.Errorf("create campaign %s: %w: resume it, or choose another folder", dir, ErrExists)
	} else if !errors.Is(err, os.ErrNotExist) {
		return explain(dir, err)
	}
	fresh := filepath.Join(dir, newName)
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return explain(dir, err)
	}
	err := writeNew(fresh, fill)
	if err == nil {
		err = os.Rename(fresh, storePath(dir))
	}
	if err != nil {
		os.Remove(fresh)
		return explain(dir, err)
	}
	return explain(dir, errors.Join(syncDir(dir), syncDir(filepath.Dir(filepath.Clean(dir)))))
}

// writeNew writes a new store. It is on the disk when writeNew returns.
func writeNew(path string, fill func(*bbolt.Tx) error) (err error) {
	db, err := bbolt.Open(path, 0o644, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(func(tx *bbolt.Tx) error {
		header, err := tx.CreateBucket(headerBucket)
		if err != nil {
			return err
		}
		if err := putSchema(header); err != nil {
			return err
		}
		if err := makeBuckets(tx, trialsBucket, sessionsBucket, attemptsBucket, voidsBucket, packetsBucket, clockBucket, candidatesBucket, batchesBucket); err != nil {
			return err
		}
		return fill(tx)
	})
}

// putBatches puts the trials, in batches of so many.
func putBatches(tx *bbolt.Tx, trials []Trial, batches []int) error {
	for _, t := range trials {
		if err := put(tx, trialsBucket, encodeTrial(t)); err != nil {
			return err
		}
	}
	for _, n := range batches {
		if err := put(tx, batchesBucket, wireBatch{Trials: n}); err != nil {
			return err
		}
	}
	return nil
}

func putSchema(header *bbolt.Bucket) error {
	version := binary.BigEndian.AppendUint32(nil, schema)
	sum := binary.LittleEndian.AppendUint32(nil, checksum(headerBucket, schemaKey, version))
	return header.Put(schemaKey, append(sum, version...))
}

func makeBuckets(tx *bbolt.Tx, names ...[]byte) error {
	for _, name := range names {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return nil
}

// upgrade gives a store of an older schema what it lacks. What it holds stays
// as it is.
func (s *Store) upgrade() error {
	err := s.update(func(tx *bbolt.Tx) error {
		lacking := [][]byte{candidatesBucket, batchesBucket}
		if s.schema < trafficSchema {
			lacking = append(lacking, packetsBucket, clockBucket)
		}
		if err := makeBuckets(tx, lacking...); err != nil {
			return err
		}
		if err := putBatches(tx, nil, []int{len(s.plan.trials), 0}); err != nil {
			return err
		}
		return putSchema(tx.Bucket(headerBucket))
	})
	if err == nil {
		s.schema = schema
	}
	return err
}

// put appends a record to a bucket.
func put(tx *bbolt.Tx, bucket []byte, wire any) error {
	b := tx.Bucket(bucket)
	b.FillPercent = 1 // keys only ever grow, so no page is ever added to
	n, err := b.NextSequence()
	if err != nil {
		return err
	}
	return putSealed(b, bucket, number(n), wire)
}

func putSealed(b *bbolt.Bucket, bucket, key []byte, wire any) error {
	value, err := seal(bucket, key, wire)
	if err != nil {
		return err
	}
	return b.Put(key, value)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open opens the campaign's store to continue it. Until Close, this process
// holds the campaign's lock, and serves [View] in other processes. A store of
// an older schema becomes one of today's, which the older program refuses.
//
// Errors wrap ErrNotFound, ErrNewerSchema, ErrDamaged, ErrFull or ErrReadOnly
// where one fits, or are a *LockedError. A store that is found damaged has not
// been written to.
func Open(dir string) (*Store, error) {
	if _, err := os.Stat(storePath(dir)); err != nil {
		return nil, missing(dir, err)
	}
	lock, err := acquire(dir)
	if err != nil {
		return nil, err
	}
	return open(dir, lock)
}

func missing(dir string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w: it holds no %s", dir, ErrNotFound, storeName)
	}
	return err
}

// open opens the store under the lock, which it releases when it fails.
func open(dir string, lock *lock) (s *Store, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.release())
		}
	}()
	if err := lock.announce(""); err != nil {
		return nil, err
	}
	// Read it all before bbolt may write: a damaged store stays as it is.
	s = &Store{lock: lock}
	if err := s.survey(dir); err != nil {
		return nil, err
	}
	path := storePath(dir)
	var db *bbolt.DB
	err = guard(func() (err error) {
		db, err = bbolt.Open(path, 0o644, &bbolt.Options{Timeout: readersPatience})
		return err
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, &LockedError{Dir: dir}
	}
	if err != nil {
		return nil, explain(path, err)
	}
	s.Reader.db = db
	if s.schema < schema {
		if err := s.upgrade(); err != nil {
			db.Close()
			return nil, err
		}
	}
	if s.server, err = serve(dir, db); err != nil {
		db.Close()
		return nil, err
	}
	if s.server.address != "" {
		if err := lock.announce(s.server.address); err != nil {
			s.server.close()
			db.Close()
			return nil, err
		}
	}
	return s, nil
}

// survey reads the store from end to end, and notes where each journal ends.
// The Reader that it leaves is closed.
func (s *Store) survey(dir string) error {
	file, err := os.Open(storePath(dir))
	if err != nil {
		return missing(dir, err)
	}
	r, err := readDB(file, storePath(dir))
	if err != nil {
		return err
	}
	defer r.Close()
	progress, err := r.Progress()
	if err != nil {
		return err
	}
	sessions, err := r.Sessions()
	if err != nil {
		return err
	}
	if _, err := r.Clock(0, 0); err != nil { // reads every bench's
		return err
	}
	s.Reader = r
	s.last = make([]int32, len(progress.plays))
	for slot, play := range progress.plays {
		s.last[slot] = play.last
	}
	s.sessions = uint32(len(sessions))
	return nil
}

// BeginSession stores a session and returns the ID that it was given.
func (s *Store) BeginSession(session Session) (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session.ID = s.sessions + 1
	if err := s.update(func(tx *bbolt.Tx) error { return put(tx, sessionsBucket, encodeSession(session)) }); err != nil {
		return 0, err
	}
	s.sessions = session.ID
	return session.ID, nil
}

// Plan adds a batch of trials to the plan, all or none. No trial says that the
// plan is whole: none can be added then. It is on the disk when Plan returns.
func (s *Store) Plan(trials ...Trial) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	plan := s.plan.clone()
	if err := plan.extend(trials); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if err := s.update(func(tx *bbolt.Tx) error { return putBatches(tx, trials, []int{len(trials)}) }); err != nil {
		return err
	}
	s.plan = plan
	s.last = append(s.last, make([]int32, plan.plays()-len(s.last))...)
	return nil
}

// Append is AppendObserved where there is nothing beside the attempts.
func (s *Store) Append(attempts ...Attempt) error {
	return s.AppendObserved(Observed{}, attempts...)
}

// AppendObserved stores what was recorded of a bench since the last time, and
// attempts, all or none. They are on the disk when it returns. What is zero of
// the Observed is not stored.
//
// The plays must be in the plan, the numbers those that follow the last
// attempt of each play, and the sessions begun. A stretch of traffic must not
// begin before the end of the one before it, and its packets must lie in it in
// the order of time. The packets of an observation must be in the stored
// traffic, these stretches included: no other copy of them is kept. When it is
// read, it has those too that only came in after the play had been judged.
//
// Errors wrap ErrFull where it fits; what was stored before is safe.
func (s *Store) AppendObserved(o Observed, attempts ...Attempt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := make(map[int]int32)
	err := s.update(func(tx *bbolt.Tx) error {
		if err := s.putObserved(tx, o); err != nil {
			return err
		}
		for _, a := range attempts {
			place, err := s.plan.place(a.Play)
			if err != nil {
				return err
			}
			slot := s.plan.first[place] + a.Play.Index
			if next := int(s.last[slot]+added[slot]) + 1; a.Number != next {
				return fmt.Errorf("play %s: attempt %d, but the next one is %d", a.Play, a.Number, next)
			}
			if err := s.begun(a.Session); err != nil {
				return fmt.Errorf("play %s: %w", a.Play, err)
			}
			cited, err := citePackets(tx, a)
			if err != nil {
				return fmt.Errorf("play %s: %w", a.Play, err)
			}
			if err := put(tx, attemptsBucket, encodeAttempt(storedAttempt{a, cited}, place)); err != nil {
				return fmt.Errorf("play %s: %w", a.Play, err)
			}
			added[slot]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for slot, n := range added {
		s.last[slot] += n
	}
	return nil
}

func (s *Store) begun(session uint32) error {
	if session < 1 || session > s.sessions {
		return fmt.Errorf("session %d has not begun", session)
	}
	return nil
}

func (s *Store) putObserved(tx *bbolt.Tx, o Observed) error {
	traffic := slices.DeleteFunc(slices.Clone(o.Traffic), Traffic.empty)
	if len(traffic) == 0 && len(o.Clock) == 0 {
		return nil
	}
	if err := s.begun(o.Session); err != nil {
		return err
	}
	st, err := streamOf(o.Session, o.Bench)
	if err != nil {
		return err
	}
	if len(o.Clock) > 0 {
		if err := put(tx, clockBucket, encodeClock(clockRecord{st, o.Clock})); err != nil {
			return fmt.Errorf("clock of %s: %w", st, err)
		}
	}
	for _, t := range traffic {
		if err := putTraffic(tx, st, t); err != nil {
			return fmt.Errorf("traffic of %s: %w", st, err)
		}
	}
	return nil
}

// Void takes attempts back, all or none. They are attempts that are stored; to
// void one again changes nothing but the record.
func (s *Store) Void(voids ...Void) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.update(func(tx *bbolt.Tx) error {
		for _, v := range voids {
			place, err := s.plan.place(v.Play)
			if err != nil {
				return err
			}
			if last := int(s.last[s.plan.first[place]+v.Play.Index]); v.Number < 1 || v.Number > last {
				return fmt.Errorf("play %s: attempt %d is not stored", v.Play, v.Number)
			}
			if err := put(tx, voidsBucket, encodeVoid(v, place)); err != nil {
				return fmt.Errorf("play %s: %w", v.Play, err)
			}
		}
		return nil
	})
}

// update makes one commit, synced to the disk.
func (s *Store) update(fn func(*bbolt.Tx) error) error {
	return explain(s.path, guard(func() error { return s.db.Update(fn) }))
}

// Close stops serving other processes and gives the campaign's lock up.
func (s *Store) Close() error {
	s.server.close()
	return errors.Join(s.db.Close(), s.lock.release())
}

// viewPatience is how long View keeps trying to get a copy from a runner.
const viewPatience = 5 * time.Second

// View opens the campaign's store for reading, whether a runner is at work on
// it or not. With a runner, it is a copy of the store as it was at the last
// commit; without, it is the store itself, and a runner that starts waits for
// its Close.
//
// Errors wrap ErrNotFound, ErrNewerSchema or ErrDamaged where one fits. A
// runner that does not answer is a *LockedError.
func View(ctx context.Context, dir string) (*Reader, error) {
	path := storePath(dir)
	for began := time.Now(); ; {
		// A runner may come and go between any two steps, so each is tried
		// until one succeeds.
		file, err := os.Open(path)
		if err != nil {
			return nil, missing(dir, err)
		}
		r, err := readDB(file, path)
		if !errors.Is(err, berrors.ErrTimeout) {
			return r, err
		}
		file, err = fetchCopy(ctx, dir)
		if err == nil {
			r, err := readDB(file, path)
			if err == nil {
				r.runner = locked(dir).PID
			}
			return r, err
		}
		if errors.Is(err, errTemp) {
			return nil, fmt.Errorf("copy the store of campaign %s: %w: set TMPDIR to a folder with room", dir, err)
		}
		if ctx.Err() == nil && time.Since(began) < viewPatience {
			select {
			case <-time.After(20 * time.Millisecond):
				continue
			case <-ctx.Done():
			}
		}
		return nil, fmt.Errorf("the runner does not answer: %w: %w", errors.Join(ctx.Err(), err), locked(dir))
	}
}

package results

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"wakefuzz/bench"
)

// storeName is the store's file in the campaign's folder.
const storeName = "store.db"

// The buckets, and the keys of the header. Keys of all other buckets but
// packets are the numbers 1, 2, 3, ... as big-endian uint64.
var (
	headerBucket   = []byte("header")
	trialsBucket   = []byte("trials")
	sessionsBucket = []byte("sessions")
	attemptsBucket = []byte("attempts")
	voidsBucket    = []byte("voids")
	packetsBucket  = []byte("packets") // since schema 2; see stream.key
	clockBucket    = []byte("clock")   // since schema 2
	// Since schema 3. A campaign that is planned batch by batch has candidates.
	candidatesBucket = []byte("candidates")
	batchesBucket    = []byte("batches")

	schemaKey   = []byte("schema")
	campaignKey = []byte("campaign")
)

// Reader reads a campaign's store. It can be used by several goroutines.
// Whatever it returns may be [ErrDamaged].
type Reader struct {
	db       *bbolt.DB
	path     string // for messages: where the store is, not where its copy is
	schema   uint32
	campaign Campaign
	plan     *plan
	runner   int // PID of the runner that this is a copy from
}

// RunnerPID is the process that was at work on the campaign when the store was
// opened for reading, or 0 for none.
func (r *Reader) RunnerPID() int { return r.runner }

// readDB opens the store in the file, which it takes over, for reading. It
// returns berrors.ErrTimeout while a runner holds the file.
func readDB(file *os.File, path string) (*Reader, error) {
	info, err := file.Stat()
	if err == nil && info.Size() == 0 {
		err = damaged(path, errors.New("empty"))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	var db *bbolt.DB
	err = guard(func() (err error) {
		// bbolt closes the file itself when it can't open it.
		db, err = bbolt.Open(path, 0, &bbolt.Options{
			ReadOnly: true,
			Timeout:  time.Nanosecond, // no more than one try at the lock
			OpenFile: func(string, int, os.FileMode) (*os.File, error) { return file, nil },
		})
		return err
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, err
	}
	if err != nil {
		return nil, damaged(path, err)
	}
	// Only now: before, a runner could have been at work on the file.
	if info, err = file.Stat(); err == nil {
		err = inspect(file, info.Size())
	}
	if err != nil {
		db.Close()
		return nil, damaged(path, err)
	}
	r, err := load(db, path)
	if err != nil {
		db.Close()
		return nil, err
	}
	return r, nil
}

// load reads what a Reader keeps in memory: the header and the plan.
func load(db *bbolt.DB, path string) (*Reader, error) {
	r := &Reader{db: db, path: path}
	if err := r.read(func(tx *bbolt.Tx) error {
		header := tx.Bucket(headerBucket)
		if header == nil {
			return errors.New("no header")
		}
		version, err := unseal(headerBucket, schemaKey, header.Get(schemaKey))
		if err != nil || len(version) != 4 {
			return errors.Join(errors.New("schema version"), err)
		}
		r.schema = binary.BigEndian.Uint32(version)
		switch {
		case r.schema > schema:
			return fmt.Errorf("%w: its schema is %d, this program knows %d: update the program", ErrNewerSchema, r.schema, schema)
		case r.schema == 0:
			return errors.New("schema version 0")
		}
		body, err := unseal(headerBucket, campaignKey, header.Get(campaignKey))
		if err != nil {
			return fmt.Errorf("campaign: %w", err)
		}
		if r.campaign, err = decodeCampaign(body); err != nil {
			return fmt.Errorf("campaign: %w", err)
		}
		if r.schema < trafficSchema {
			return nil
		}
		return checkTraffic(tx)
	}); err != nil {
		return nil, err
	}
	trials, err := collect(journal(r, trialsBucket, decodeTrial))
	if err != nil {
		return nil, err
	}
	batches := []int{len(trials), 0} // what a store of an older schema has
	if r.schema >= batchesSchema {
		if batches, err = collect(journal(r, batchesBucket, decodeBatch)); err != nil {
			return nil, err
		}
	}
	if r.plan, err = newPlan(trials, batches); err != nil {
		return nil, damaged(path, err)
	}
	return r, nil
}

// read runs fn on the store as it is now. All that fn returns is damage,
// except for what says otherwise.
func (r *Reader) read(fn func(*bbolt.Tx) error) error {
	err := guard(func() error { return r.db.View(fn) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNewerSchema), errors.Is(err, berrors.ErrDatabaseNotOpen):
		return fmt.Errorf("%s: %w", r.path, err)
	default:
		return damaged(r.path, err)
	}
}

// Campaign is the campaign that the store belongs to.
func (r *Reader) Campaign() Campaign { return r.campaign }

// Trials is what is planned so far, in plan order.
func (r *Reader) Trials() []Trial { return slices.Clone(r.plan.trials) }

// Whole says whether all that the campaign will play is planned.
func (r *Reader) Whole() bool { return r.plan.whole }

// Candidates are the words that batches are planned from, or none where the
// plan was whole from the beginning.
func (r *Reader) Candidates() ([]Candidate, error) {
	if r.schema < batchesSchema {
		return nil, nil
	}
	return collect(journal(r, candidatesBucket, decodeCandidate))
}

// Sessions returns the sessions, oldest first.
func (r *Reader) Sessions() ([]Session, error) {
	return collect(journal(r, sessionsBucket, decodeSession))
}

// Voids returns the voids, oldest first.
func (r *Reader) Voids() ([]Void, error) {
	return collect(journal(r, voidsBucket, r.void))
}

// Attempts yields the attempts, oldest first, up to the last one that was
// there when it began. An error ends it. The store can be written to
// meanwhile, from the loop's body too.
//
// Times come back in UTC, and what is empty (a slice, a map) as nil.
func (r *Reader) Attempts() iter.Seq2[Attempt, error] {
	records := journal(r, attemptsBucket, func(body []byte) (storedAttempt, error) { return decodeAttempt(body, r.plan) })
	return func(yield func(Attempt, error) bool) {
		memos := make(map[stream]*Traffic)
		for a, err := range records {
			if err == nil && a.packets != nil {
				err = r.refill(a, memos)
			}
			if err != nil {
				yield(Attempt{}, err)
				return
			}
			if !yield(a.Attempt, nil) {
				return
			}
		}
	}
}

func (r *Reader) outcomes() iter.Seq2[wireOutcome, error] {
	return journal(r, attemptsBucket, func(body []byte) (wireOutcome, error) { return decodeOutcome(body, r.plan) })
}

func (r *Reader) void(body []byte) (Void, error) { return decodeVoid(body, r.plan) }

// Close lets go of the store.
func (r *Reader) Close() error { return r.db.Close() }

// journal yields the decoded records of a bucket. It reads them in batches, so
// that no transaction is open while the consumer works: an open one would
// stand in the way of the writer. That the keys have no gap, and end where the
// bucket's own counter does, shows that no record is missing.
func journal[T any](r *Reader, bucket []byte, decode func(body []byte) (T, error)) iter.Seq2[T, error] {
	const batchSize = 256
	return func(yield func(T, error) bool) {
		var batch []T
		next, last := uint64(1), uint64(0)
		for first := true; first || next <= last; first = false {
			batch = batch[:0]
			err := r.read(func(tx *bbolt.Tx) error {
				b := tx.Bucket(bucket)
				if b == nil {
					return fmt.Errorf("no %s", bucket)
				}
				c := b.Cursor()
				if first {
					if key, _ := c.Last(); b.Sequence() != 0 || key != nil {
						if last = b.Sequence(); !bytes.Equal(key, number(last)) {
							return fmt.Errorf("%s: %d were written, the last one is another", bucket, last)
						}
					}
				}
				for key, value := c.Seek(number(next)); next <= last && len(batch) < batchSize; key, value = c.Next() {
					if !bytes.Equal(key, number(next)) {
						return fmt.Errorf("%s: record %d is missing", bucket, next)
					}
					body, err := unseal(bucket, key, value)
					var record T
					if err == nil {
						record, err = decode(body)
					}
					if err != nil {
						return fmt.Errorf("%s: record %d: %w", bucket, next, err)
					}
					batch = append(batch, record)
					next++
				}
				return nil
			})
			for _, record := range batch {
				if !yield(record, nil) {
					return
				}
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
		}
	}
}

func collect[T any](records iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for record, err := range records {
		if err != nil {
			return nil, err
		}
		all = append(all, record)
	}
	return all, nil
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// Progress is what resuming needs to know.
type Progress struct {
	plan  *plan
	plays []playProgress
	done  int
}

type playProgress struct {
	done, voided bool
	state        bench.State // of the attempt that counts, when it was played
	last         int32
}

// Progress reads which plays are done: those with an attempt that counts,
// which is the last one that was measured and not voided. It does not read
// what was observed.
func (r *Reader) Progress() (*Progress, error) {
	voided, err := r.voided()
	if err != nil {
		return nil, err
	}
	p := &Progress{plan: r.plan, plays: make([]playProgress, r.plan.plays())}
	for o, err := range r.outcomes() {
		if err != nil {
			return nil, err
		}
		slot := r.plan.first[o.Trial] + o.Index
		play := &p.plays[slot]
		if o.Number != int(play.last)+1 {
			return nil, damaged(r.path, fmt.Errorf("attempt %d of a play follows attempt %d", o.Number, play.last))
		}
		play.last++
		void := voided[attemptKey{slot, o.Number}]
		play.voided = play.voided || void
		if counts(bench.State(o.State), void) {
			play.state = bench.State(o.State)
			if !play.done {
				play.done = true
				p.done++
			}
		}
	}
	return p, nil
}

// counts is the rule of what counts: of all attempts at a play, the last one
// for which it is true.
func counts(state bench.State, voided bool) bool { return state != bench.Unmeasured && !voided }

// attemptKey is the slot of a play, and the number of an attempt at it.
type attemptKey struct{ slot, number int }

// voided is the set of voided attempts.
func (r *Reader) voided() (map[attemptKey]bool, error) {
	set := make(map[attemptKey]bool)
	for v, err := range journal(r, voidsBucket, r.void) {
		if err != nil {
			return nil, err
		}
		place := r.plan.places[v.Play.Trial]
		set[attemptKey{r.plan.first[place] + v.Play.Index, v.Number}] = true
	}
	return set, nil
}

// Done reports whether the play has an attempt that counts. A play that is not
// in the plan is not done.
func (p *Progress) Done(id PlayID) bool {
	place, err := p.plan.place(id)
	return err == nil && p.plays[p.plan.first[place]+id.Index].done
}

// Result is in how many of the trial's plays the device reacted, and in how many
// it did not, by the verdicts of the time of the play.
func (p *Progress) Result(id TrialID) (reacted, quiet int) {
	place, known := p.plan.places[id]
	if !known {
		return 0, 0
	}
	for _, play := range p.plays[p.plan.first[place]:p.plan.first[place+1]] {
		switch {
		case !play.done:
		case play.state == bench.Reacted:
			reacted++
		default:
			quiet++
		}
	}
	return reacted, quiet
}

// Voided reports whether an attempt at the play was taken back.
func (p *Progress) Voided(id PlayID) bool {
	place, err := p.plan.place(id)
	return err == nil && p.plays[p.plan.first[place]+id.Index].voided
}

// Next is the number of the play's next attempt, from 1.
func (p *Progress) Next(id PlayID) int {
	place, err := p.plan.place(id)
	if err != nil {
		return 1
	}
	return int(p.plays[p.plan.first[place]+id.Index].last) + 1
}

// Count returns how many plays are done, and how many are planned.
func (p *Progress) Count() (done, planned int) { return p.done, len(p.plays) }

func storePath(dir string) string { return filepath.Join(dir, storeName) }

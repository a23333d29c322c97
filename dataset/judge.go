package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
)

// Who may be doubted.
const (
	Sensor  = "light sensor"
	Capture = "capture"
	Device  = "device"
)

const (
	// An upload belongs to a light if they overlap from so long before the light
	// to so long after it.
	before, after = 2 * time.Second, 5 * time.Second
	// settled is how long after its end an occasion is known whole.
	settled = 15 * time.Second
	// stuck is how long no reaction is lit.
	stuck = 10 * time.Minute
	// glimpse is how long the light may go unread: no longer than an activation
	// would be lit.
	glimpse = 2 * time.Second
)

// Report is what a record says.
type Report struct {
	Settings Settings
	// Sessions counts them, and Length is for how long they recorded.
	Sessions int
	Length   time.Duration
	// Plays are those that sounded, and Faults those that did not.
	Plays, Faults int
	// Pairs are the words that had both stretches.
	Pairs map[string]bool
	// Occasions are in the order of time, as far as they are over.
	Occasions []Occasion
	Doubts    []Doubt
	Files     []File
	// Unfiled counts spells of light while no packet was recorded.
	Unfiled int
}

// Agreement counts the occasions that both oracles saw, or one alone while the
// other watched.
func (r Report) Agreement() (both, light, upload int) {
	for _, o := range r.Occasions {
		switch {
		case o.Light == bench.Reacted && o.Traffic == bench.Reacted:
			both++
		case o.Light == bench.Reacted && o.Traffic == bench.Quiet:
			light++
		case o.Light == bench.Quiet && o.Traffic == bench.Reacted:
			upload++
		}
	}
	return both, light, upload
}

// Occasion is something that an oracle saw, or a play that none did.
type Occasion struct {
	Session int
	Span    bench.Span
	// Word is what was played, or "".
	Word           string
	Light, Traffic bench.State
}

// Doubt is a time in which somebody's word can't be taken.
type Doubt struct {
	Session int
	Span    bench.Span
	// Who is Sensor, Capture or Device.
	Who string
	Why string
	// Labels says that the labels suffer.
	Labels bool
	// Open says that the doubt goes on at the end of the session, or of the
	// record.
	Open bool
}

// File is a capture file.
type File struct {
	Session int
	Name    string
	// Span is from its first packet to its last.
	Span    bench.Span
	Packets int
	Dropped uint64
	// Labels can be trusted, and Doubtful can't.
	Labels, Doubtful []Label
	// Doubts are those that its labels suffer from.
	Doubts []Doubt
	// Unknown are the times in which labels may be missing or wrong: those of the
	// doubts, and the doubtful labels themselves.
	Unknown []Label
}

// Lost says that nothing in the file can be trusted.
func (f File) Lost() bool {
	return len(f.Unknown) == 1 && f.Unknown[0].Start == 0 && f.Unknown[0].End >= f.Span.Duration()
}

// Label is a time in a file.
type Label struct {
	// Start and End are since the first packet.
	Start, End time.Duration
	Kind       string
	// Why is what a doubtful label suffers from.
	Why string
}

// Judge says what a record means. It is pure.
func Judge(entries []Entry) Report {
	j := judge{
		Report: Report{Pairs: map[string]bool{}},
		light: observer{name: Sensor, lacks: "uploads in a row came without light",
			remedy: "see that it is connected and sees the ring"},
		traffic: observer{name: Capture, lacks: "times in a row the light was lit without an upload",
			remedy: "see that the device still has the address of the campaign file, and is on that network"},
		device: observer{name: Device, lacks: "plays in a row drew nothing of what should wake it",
			remedy: "see that it is on, not muted, and hears the loudspeaker"},
	}
	for len(entries) > 0 {
		n := slices.IndexFunc(entries, func(e Entry) bool { return e.Session != entries[0].Session })
		over := n >= 0
		if !over {
			n = len(entries)
		}
		j.session(entries[:n], over)
		entries = entries[n:]
	}
	return j.Report
}

type judge struct {
	Report
	light, traffic, device observer
}

// observer is somebody whose word is taken, and what to say once it isn't.
type observer struct {
	trust
	name, lacks, remedy string
}

// session is what a session's entries say. Of those with the same beginning it
// has the last.
type session struct {
	Settings
	number int
	now    bench.Instant // the latest time of which it tells
	over   bool
	of     map[Event][]Entry
	// lights are the spells that can be reactions, and unread the times in which
	// there may have been others.
	lights, unread []bench.Span
}

func arrange(entries []Entry, settings Settings, over bool) *session {
	s := &session{Settings: settings, number: entries[0].Session, over: over, of: map[Event][]Entry{}}
	type key struct {
		event        Event
		oracle, file string
		from         bench.Instant
	}
	open := map[key]int{}
	for _, e := range entries {
		s.now = max(s.now, e.From, e.To)
		s.over = s.over || e.Event == EventEnd
		k := key{e.Event, e.Oracle, e.File, e.From}
		if at, is := open[k]; is {
			s.of[e.Event][at] = e
			continue
		}
		if e.To == 0 {
			open[k] = len(s.of[e.Event])
		}
		s.of[e.Event] = append(s.of[e.Event], e)
	}
	for _, e := range s.of[EventLight] {
		if lit := e.span(s.now); lit.Duration() <= stuck {
			s.lights = append(s.lights, lit)
		} else {
			s.unread = append(s.unread, lit)
		}
	}
	s.unread = append(s.unread, s.blind(light.Name)...)
	sortSpans(s.unread)
	return s
}

// blind are the times in which an oracle did not watch.
func (s *session) blind(oracle string) (spans []bench.Span) {
	for _, e := range s.of[EventBlind] {
		if e.Oracle == oracle {
			spans = append(spans, e.span(s.now))
		}
	}
	return spans
}

func (j *judge) session(entries []Entry, over bool) {
	if entries[0].Settings != nil {
		j.Settings = *entries[0].Settings
	}
	s := arrange(entries, j.Settings, over)
	j.Sessions++
	if files := s.of[EventFile]; len(files) > 0 {
		j.Length += s.now.Sub(files[0].From)
	}
	for _, e := range s.of[EventPlay] {
		j.Plays++
		if e.Fault != "" {
			j.Faults++
		}
	}
	for _, e := range s.of[EventPair] {
		j.Pairs[e.Word] = true
	}
	for _, o := range []*observer{&j.light, &j.traffic, &j.device} {
		o.restart()
	}
	before := len(j.Doubts)
	j.doubtUnread(s)
	for _, o := range s.occasions() {
		j.Occasions = append(j.Occasions, o)
		j.weigh(s, o)
	}
	doubts := j.Doubts[before:]
	for i := range doubts {
		if d := &doubts[i]; d.Open {
			d.Span.End = max(d.Span.Start, s.now)
		}
	}
	j.file(s, doubts)
}

// doubtUnread doubts the light where it could not be read.
func (j *judge) doubtUnread(s *session) {
	for _, e := range s.of[EventBlind] {
		if span := e.span(s.now); e.Oracle == light.Name && span.Duration() > glimpse {
			j.Doubts = append(j.Doubts, Doubt{s.number, span, Sensor, "could not be read: " + e.Fault, true, e.To == 0})
		}
	}
	for _, e := range s.of[EventLight] {
		if span := e.span(s.now); span.Duration() > stuck {
			j.Doubts = append(j.Doubts, Doubt{s.number, span, Sensor,
				fmt.Sprintf("saw the ring lit for longer than %v at a time; see to the wiring, the polarity and the trimmer of its sensor", stuck), true, e.To == 0})
		}
	}
}

// occasions are those that are over, in the order of time.
func (s *session) occasions() []Occasion {
	var uploads, reactions []bench.Span
	for _, e := range s.of[EventUpload] {
		uploads = append(uploads, e.span(s.now))
	}
	down := s.blind(traffic.Name)
	var all []Occasion
	add := func(span bench.Span, lit, sent bool, word string) {
		o := Occasion{s.number, span, word, bench.Quiet, bench.Quiet}
		if lit {
			o.Light = bench.Reacted
		} else if !s.Light || touches(s.unread, around(span)) {
			o.Light = bench.Unmeasured
		}
		if sent {
			o.Traffic = bench.Reacted
		} else if touches(down, around(span)) {
			o.Traffic = bench.Unmeasured
		}
		all = append(all, o)
	}
	for _, lit := range s.lights {
		reactions = append(reactions, lit)
		add(lit, true, touches(uploads, around(lit)), s.drew(lit.Start, lit.Start))
	}
	for _, sent := range uploads {
		reactions = append(reactions, sent)
		if !touches(s.lights, bench.Span{Start: sent.Start.Add(-after), End: sent.End.Add(before)}) {
			add(sent, false, true, s.drew(sent.Start, sent.End))
		}
	}
	sortSpans(reactions)
	for _, play := range s.of[EventPlay] {
		if play.Fault == "" && !touches(reactions, bench.Span{Start: play.From, End: play.To.Add(s.Reach)}) {
			add(bench.Span{Start: play.From, End: play.To.Add(s.Reach)}, false, false, play.Word)
		}
	}
	slices.SortStableFunc(all, func(a, b Occasion) int { return cmp.Compare(a.Span.Start, b.Span.Start) })
	if !s.over {
		if open := slices.IndexFunc(all, func(o Occasion) bool { return o.Span.End.Add(settled) > s.now }); open >= 0 {
			all = all[:open]
		}
	}
	return all
}

// drew is the word that can have drawn a reaction from that time on: the last
// one that began to sound until the later time, whole or not.
func (s *session) drew(from, until bench.Instant) string {
	plays := s.of[EventPlay]
	n := sort.Search(len(plays), func(i int) bool { return plays[i].From > until })
	if n == 0 || from > plays[n-1].To.Add(s.Reach) {
		return ""
	}
	return plays[n-1].Word
}

// around is where an upload lies that belongs to a light.
func around(lit bench.Span) bench.Span {
	return bench.Span{Start: lit.Start.Add(-before), End: lit.End.Add(after)}
}

func overlap(a, b bench.Span) bool { return a.Start <= b.End && b.Start <= a.End }

// touches says whether a span overlaps one of those, which are in the order of
// time.
func touches(spans []bench.Span, span bench.Span) bool {
	n := sort.Search(len(spans), func(i int) bool { return spans[i].Start > span.End })
	return slices.ContainsFunc(spans[max(n-nearby, 0):n], func(s bench.Span) bool { return overlap(s, span) })
}

// nearby is how many spans that began earlier may overlap one: spells don't
// overlap each other, and an upload one or two of them.
const nearby = 8

func sortSpans(spans []bench.Span) {
	slices.SortFunc(spans, func(a, b bench.Span) int { return cmp.Compare(a.Start, b.Start) })
}

// weigh holds the observers against each other.
func (j *judge) weigh(s *session, o Occasion) {
	if o.Traffic == bench.Reacted && o.Light != bench.Unmeasured && s.Kind != Idle {
		j.count(s, o, &j.light, o.Light == bench.Reacted)
	}
	if o.Light == bench.Reacted && o.Traffic != bench.Unmeasured {
		j.count(s, o, &j.traffic, o.Traffic == bench.Reacted)
	}
	if o.Word != "" && s.wakes(o.Word) {
		j.count(s, o, &j.device, o.Light == bench.Reacted || o.Traffic == bench.Reacted)
	}
}

// count counts what an observer saw or missed, and notes it where that changes
// whether it can be trusted.
func (j *judge) count(s *session, o Occasion, who *observer, saw bool) {
	given := 0
	if s.Kind == Controlled {
		given = credit
	}
	switch changed := who.see(saw, o.Span, given); {
	case changed && who.lost:
		labels := who.name != Device || !s.Light
		j.Doubts = append(j.Doubts, Doubt{s.number, bench.Span{Start: who.since}, who.name, who.why(given), labels, true})
	case who.lost: // the row grows
		j.open(who.name).Why = who.why(given)
	case changed:
		d := j.open(who.name)
		d.Span.End, d.Open = max(d.Span.Start, o.Span.Start-1), false
	}
}

// open is the doubt about somebody that goes on.
func (j *judge) open(who string) *Doubt {
	i := len(j.Doubts) - 1
	for j.Doubts[i].Who != who || !j.Doubts[i].Open {
		i--
	}
	return &j.Doubts[i]
}

// why says why an observer can't be trusted.
func (o *observer) why(credit int) string {
	dead := "has probably died"
	if o.name == Device {
		dead = "no longer reacts"
	}
	return fmt.Sprintf("%s: %d %s, after %d of %d that were seen (p = %.1g); %s",
		dead, o.row, o.lacks, o.seen, o.seen+o.missed, o.chance(credit), o.remedy)
}

// file finds what belongs to each file.
func (j *judge) file(s *session, doubts []Doubt) {
	filed, activations := map[bench.Span]bool{}, s.activations()
	for _, e := range s.of[EventFile] {
		f := File{Session: s.number, Name: e.File, Span: e.span(s.now), Packets: e.Packets, Dropped: e.Dropped}
		var unknown []bench.Span
		for _, d := range doubts {
			if d.Labels && overlap(d.Span, f.Span) {
				f.Doubts = append(f.Doubts, d)
				unknown = append(unknown, d.Span)
			}
		}
		// A label stands and falls with the whole that it is a part of.
		within := func(span, whole bench.Span, kind string) {
			if span.End <= f.Span.Start || span.Start > f.Span.End {
				return
			}
			filed[span] = true
			l := f.label(span, kind)
			if at := slices.IndexFunc(f.Doubts, func(d Doubt) bool { return overlap(d.Span, whole) }); at >= 0 {
				l.Why = f.Doubts[at].about(f)
				f.Doubtful = append(f.Doubtful, l)
				unknown = append(unknown, span)
				return
			}
			f.Labels = append(f.Labels, l)
		}
		for _, pair := range s.of[EventPair] {
			whole := bench.Span{Start: pair.From, End: pair.To}
			middle := pair.From.Add(whole.Duration() / 2)
			within(bench.Span{Start: pair.From, End: middle}, whole, "idle")
			within(bench.Span{Start: middle, End: pair.To}, whole, "probe "+pair.Word)
		}
		for _, a := range activations {
			within(a.Span, a.Span, a.kind)
		}
		for _, labels := range [][]Label{f.Labels, f.Doubtful} {
			slices.SortStableFunc(labels, func(a, b Label) int { return cmp.Compare(a.Start, b.Start) })
		}
		for _, span := range joined(unknown) {
			f.Unknown = append(f.Unknown, f.label(bench.Span{Start: span.Start, End: min(span.End, f.Span.End)}, "doubtful"))
		}
		j.Files = append(j.Files, f)
	}
	for _, lit := range s.lights {
		if !filed[lit] {
			j.Unfiled++
		}
	}
}

// label is a span as the file counts time.
func (f File) label(span bench.Span, kind string) Label {
	return Label{Start: max(span.Start.Sub(f.Span.Start), 0), End: span.End.Sub(f.Span.Start), Kind: kind}
}

// joined are the spans in the order of time, of which none overlaps another.
func joined(spans []bench.Span) (all []bench.Span) {
	sortSpans(spans)
	for _, s := range spans {
		if n := len(all); n > 0 && s.Start <= all[n-1].End {
			all[n-1].End = max(all[n-1].End, s.End)
			continue
		}
		all = append(all, s)
	}
	return all
}

// activation is a time in which the device was awake.
type activation struct {
	bench.Span
	kind string
}

// activations are the spells of light or, where nothing watches it, the plays
// that are meant to wake the device.
func (s *session) activations() (all []activation) {
	if !s.Light {
		for _, play := range s.of[EventPlay] {
			if play.Fault == "" && s.wakes(play.Word) {
				all = append(all, activation{play.span(s.now), play.Word})
			}
		}
		return all
	}
	for _, lit := range s.lights {
		kind := "false"
		if s.Kind == Ordinary {
			kind = ""
		}
		all = append(all, activation{lit, cmp.Or(s.drew(lit.Start, lit.Start), kind)})
	}
	return all
}

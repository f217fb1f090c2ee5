package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	statuslist "github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/published"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/trust"
)

func (p *program) statusPublish() *cobra.Command {
	var out string
	var every string
	c := &cobra.Command{
		Use: "publish --out FOLDER [--every 60s]", Short: "Sign the status lists and the trust bundle and write them for a web server", Args: cobra.NoArgs,
		Long: `Writes one signed Token Status List (CWT form) a list, under the name that its address ends with and .cwt, for any static web server to serve as
` + statuslist.MediaType + `; of lists for wallets the JWT form, too, with .jwt, to be served as
` + statuslist.MediaTypeJWT + ` (which is what an answer without Accept should be for them); the trust bundle as ISSUER.trust, and ` + published.IndexName + ` with numbers, dates and digests. A list that says what its last token says is
signed anew twice a day only.

With --every it goes on until it is told to stop: it publishes what has changed within that time, tries again when the database cannot be reached,
and says so loudly when the last success is older than 5 and 15 minutes. What is in the folder can be served meanwhile. It opens the database for
each round only, so that others can work. Nothing in the folder is ever replaced by something older.`,
		Example: "  issuer status publish --dir office --out public/status\n  issuer status publish --dir office --out public/status --every 60s",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			var speaking sync.Mutex
			say := func(format string, args ...any) {
				speaking.Lock()
				defer speaking.Unlock()
				cli.Say(cmd, format, args...)
			}
			f := &publisher{program: p, cmd: cmd, out: out, say: say}
			if every == "" {
				index, err := f.round(cmd.Context())
				if err != nil {
					return err
				}
				index = within(out, index)
				return p.Print(cmd, index.Lists, func(w io.Writer) { publishedText(w, index) })
			}
			pause, err := parseDuration(every)
			if err != nil || pause < time.Second {
				return p.Misused(cli.Hint(fmt.Errorf("--every: %q is not a time span", every), "for example --every 60s"))
			}
			if slow := tooSlow("--every", pause); slow != "" {
				say("WARNING: %s", slow)
			}
			stop := watchFolder(cmd.Context(), folderWatch{folder: out, now: p.Now, sleep: sleep, say: say})
			defer stop()
			s := schedule{every: pause, now: p.Now, sleep: sleep, last: lastSuccess(out), say: say}
			s.run(cmd.Context(), func(ctx context.Context) error {
				_, err := f.round(ctx)
				return err
			})
			return nil
		}),
	}
	c.Flags().StringVar(&out, "out", "", "the folder to write to (required)")
	c.Flags().StringVar(&every, "every", "", "publish again after this time, until told to stop, such as `60s`")
	_ = c.MarkFlagRequired("out")
	return c
}

// When a schedule begins to speak up about its last success.
const (
	lateAfter  = 5 * time.Minute
	alarmAfter = 15 * time.Minute
)

// A schedule repeats something until it is told to stop.
type schedule struct {
	every time.Duration
	now   func() time.Time
	sleep func(ctx context.Context, d time.Duration)
	say   func(format string, args ...any)
	last  time.Time // of the last success
}

// run calls round until ctx ends. After a failure it tries again sooner, and less
// and less often up to the usual pause.
func (s *schedule) run(ctx context.Context, round func(context.Context) error) {
	s.last = cmp.Or(s.last, s.now())
	failures := 0
	for ctx.Err() == nil {
		pause := s.every
		switch err := round(ctx); {
		case err == nil:
			if failures > 0 {
				s.say("published again, after %d failures", failures)
			}
			s.last, failures = s.now(), 0
		case ctx.Err() != nil:
			return
		default:
			pause = min(time.Second<<min(failures, 20), s.every)
			failures++
			s.say("%spublishing failed: %v (again in %s)", s.alarm(), err, pause)
		}
		s.sleep(ctx, pause)
	}
}

// alarm is how loudly to speak of a failure.
func (s *schedule) alarm() string { return tooOld(s.now().Sub(s.last)) }

// tooOld is how loudly to speak of what is published, by its age.
func tooOld(age time.Duration) string {
	switch age = age.Round(time.Second); {
	case age > alarmAfter:
		return fmt.Sprintf("ALARM: what is published is %s old; what was revoked since still counts as valid elsewhere. ", age)
	case age > lateAfter:
		return fmt.Sprintf("WARNING: what is published is %s old. ", age)
	}
	return ""
}

// soonEnough is the time within which 99 of 100 revocations are to be published (promise
// P05); lateAfter is that for each.
const soonEnough = time.Minute

// tooSlow says what is wrong with publishing at this interval, "" if nothing is.
func tooSlow(setting string, every time.Duration) string {
	switch {
	case every > lateAfter:
		return fmt.Sprintf("%s is %s: no revocation may take longer than %s to be published", setting, every, lateAfter)
	case every > soonEnough:
		return fmt.Sprintf("%s is %s: revocations are to be published within %s", setting, every, soonEnough)
	}
	return ""
}

// A folderWatch speaks up about the age of what is published, whoever publishes it and
// whether their rounds fail, hang or are not made at all.
type folderWatch struct {
	folder string
	now    func() time.Time
	sleep  func(ctx context.Context, d time.Duration)
	say    func(format string, args ...any)
}

// watchFolder runs a watch until stop is called.
func watchFolder(ctx context.Context, w folderWatch) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { w.run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// run looks twice a minute. It speaks when WARNING and ALARM begin, and then each time that
// as long as to an alarm has gone by.
func (w folderWatch) run(ctx context.Context) {
	last := w.now() // nothing may be there yet
	var next time.Duration
	for w.sleep(ctx, soonEnough/2); ctx.Err() == nil; w.sleep(ctx, soonEnough/2) {
		if at := lastSuccess(w.folder); !at.IsZero() {
			last = at
		}
		age := w.now().Sub(last)
		switch what := tooOld(age); {
		case what == "":
			next = lateAfter
		case age > next:
			w.say("%s%s was last compared with the database at %s", what, w.folder, last.UTC().Format(time.RFC3339))
			if next = alarmAfter; age > alarmAfter {
				next = age + alarmAfter
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// publishedText prints what was published.
func publishedText(w io.Writer, x published.Index) {
	table(w, "LIST|NUMBER|FILE|BYTES", func(add func(...string)) {
		for _, v := range x.Files() {
			add(cmp.Or(v.URI, issuance.TrustName), fmt.Sprint(v.Number), v.File, fmt.Sprint(v.Bytes))
		}
	})
}

// within is an index with the paths of its files in place of their names.
func within(folder string, x published.Index) published.Index {
	x.Lists = slices.Clone(x.Lists)
	for i := range x.Lists {
		x.Lists[i].File = filepath.Join(folder, x.Lists[i].File)
	}
	if x.Trust != nil {
		bundle := *x.Trust
		bundle.File = filepath.Join(folder, bundle.File)
		x.Trust = &bundle
	}
	return x
}

// A publisher fills one folder.
type publisher struct {
	*program
	cmd *cobra.Command
	out string
	// with gives the open issuer to a function. Optional; it is opened for each round.
	with func(access, func(*app) error) error
	// say tells what was found wrong with the folder and put right. Optional.
	say func(format string, args ...any)

	seen int64           // entries of the audit log when the last round began
	last published.Index // what that round left in the folder
	due  time.Time
}

// keepFor is how long something that still says the same is left as it is: its date
// is what verifiers tell the age of their knowledge by.
const keepFor = 12 * time.Hour

// round publishes what has changed and writes the folder. A folder that is not as it was
// left is filled anew, whether something has changed or not.
func (f *publisher) round(ctx context.Context) (published.Index, error) {
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return published.Index{}, err
	}
	release, err := holdFolder(ctx, f.out)
	if err != nil {
		return published.Index{}, err
	}
	defer release()
	known, wrong, err := f.look()
	if err != nil {
		return published.Index{}, err
	}
	if len(wrong) == 0 && f.seen > 0 && known.Same(f.last) && f.Now().Before(f.due) {
		if idle, err := f.idle(ctx, known); err != nil || idle {
			return known, err
		}
	}
	var index published.Index
	err = f.office(readWrite, func(a *app) error {
		// What others do from here on may be in what is published, or not: the next round
		// looks again.
		size, err := a.store.AuditSize(ctx)
		if err != nil {
			return err
		}
		if index, err = a.publishAll(f.cmd, f.out, known); err != nil {
			return err
		}
		f.seen = size
		return nil
	})
	if err != nil {
		return published.Index{}, err
	}
	if f.say != nil {
		for _, what := range wrong {
			f.say("%s: published anew", what)
		}
	}
	f.last, f.due = index, f.Now().Add(keepFor/2)
	return index, nil
}

// look compares the folder with its index. It returns what the folder is known to hold,
// or to have held, and what is wrong with it.
func (f *publisher) look() (known published.Index, wrong []string, err error) {
	known, err = published.Read(f.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if len(f.last.Files()) > 0 {
			wrong = append(wrong, filepath.Join(f.out, published.IndexName)+" was missing")
		}
		known = f.last
	case errors.Is(err, published.ErrDamaged):
		wrong, known = append(wrong, filepath.Join(f.out, published.IndexName)+" was damaged"), f.last
	case err != nil:
		return known, nil, err
	}
	for _, file := range known.Files() {
		switch _, err := known.Verify(f.out, file.File); {
		case errors.Is(err, fs.ErrNotExist):
			wrong = append(wrong, filepath.Join(f.out, file.File)+" was missing")
		case err != nil:
			wrong = append(wrong, filepath.Join(f.out, file.File)+" was damaged")
		}
	}
	return known, wrong, nil
}

// office opens the issuer for a function, unless somebody has it open.
func (f *publisher) office(what access, do func(*app) error) error {
	if f.with != nil {
		return f.with(what, do)
	}
	a, err := f.open(f.cmd, what)
	if err != nil {
		return err
	}
	defer a.close()
	return do(a)
}

// idle reports whether nothing was done since the last round of this process, so that
// nobody else has to be kept from the database. Then it dates the index.
func (f *publisher) idle(ctx context.Context, x published.Index) (bool, error) {
	var size int64
	err := f.office(readOnly, func(a *app) (err error) {
		size, err = a.store.AuditSize(ctx)
		return err
	})
	if err != nil || size != f.seen {
		return false, err
	}
	x.Checked = f.Now().UTC().Truncate(time.Second)
	return true, x.Write(f.out)
}

// lastSuccess is when the folder was last filled, by whatever process.
func lastSuccess(folder string) time.Time {
	x, err := published.Read(folder)
	if err != nil {
		return time.Time{}
	}
	return x.Checked
}

// publishAll signs what has changed and writes everything that is published. Known is
// what the folder is known to hold.
func (a *app) publishAll(cmd *cobra.Command, out string, known published.Index) (published.Index, error) {
	lifetime := time.Duration(a.cfg.Trust.StatusListLifetime)
	keep := min(keepFor, lifetime/4)
	lists, err := a.service.PublishStatus(cmd.Context(), issuance.StatusRequest{Lifetime: lifetime, TTL: lifetime / 7, KeepFor: keep, Actor: a.actor})
	if err != nil {
		return published.Index{}, err
	}
	checked := a.now().UTC().Truncate(time.Second)
	f := filling{out: out, known: known}
	for _, l := range lists {
		uri, extension, mediaType := l.Name, ".cwt", statuslist.MediaType
		if of, jwt := issuance.IsJWT(l.Name); jwt {
			uri, extension, mediaType = of, ".jwt", statuslist.MediaTypeJWT
		}
		name := filepath.Base(strings.TrimPrefix(uri, a.cfg.statusBase())) + extension
		file, err := f.add(published.File{File: name, URI: uri, Type: mediaType}, l, newerList)
		if err != nil {
			return published.Index{}, err
		}
		f.index.Lists = append(f.index.Lists, *file)
	}
	f.index.Checked, f.index.Trust = known.Checked, known.Trust
	bundle, failed := a.currentBundle(cmd)
	if failed == nil && bundle.Number > 0 {
		if f.index.Trust, err = f.add(published.File{File: a.cfg.Issuer.ID + ".trust"}, bundle, newerBundle); err != nil {
			return published.Index{}, err
		}
	}
	if failed == nil {
		f.index.Checked = checked
	}
	// The lists do not wait for a bundle that cannot be made.
	if err := errors.Join(failed, f.fill()); err != nil {
		return published.Index{}, err
	}
	return f.index, nil
}

// currentBundle publishes the next trust bundle if there is something new to say. An
// office under the root of another has none.
func (a *app) currentBundle(cmd *cobra.Command) (issuance.Publication, error) {
	last, err := a.store.Publication(cmd.Context(), issuance.TrustName)
	if err != nil || last.Number == 0 {
		return last, err
	}
	keep := min(keepFor, time.Duration(a.cfg.Trust.RefreshBy)/4)
	if _, _, err := a.publish(cmd, func(r *issuance.TrustRequest) { r.KeepFor = keep }); err != nil {
		return issuance.Publication{}, err
	}
	return a.store.Publication(cmd.Context(), issuance.TrustName)
}

// errOlder: what is to be published is older than what is there.
var errOlder = errors.New("the folder holds something newer than this database")

// A filling is a folder that gets its next files.
type filling struct {
	out          string
	known, index published.Index // before and after
	next         []published.File
	content      map[string][]byte
}

// add takes a publication for its file, whose name is given and which is left alone if it says the same already.
// Nothing is replaced by something older: that would be a database which lost what it had
// confirmed, or another one. What the index says of a file counts also if the file is gone.
func (f *filling) add(file published.File, p issuance.Publication, newer func(old, new []byte) bool) (*published.File, error) {
	path := filepath.Join(f.out, file.File)
	file.Number, file.Bytes, file.IssuedAt, file.SHA256 = p.Number, len(p.Content), p.IssuedAt, published.Digest(p.Content)
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && published.Digest(old) == file.SHA256 {
		return &file, nil
	}
	later := func(v published.File) bool { return v.Number > p.Number }
	if err == nil && newer(old, p.Content) || slices.ContainsFunc(f.known.Versions(file.File), later) {
		return nil, cli.Hint(fmt.Errorf("%w: %s", errOlder, path),
			"was a backup restored, or is this the folder of another office? Keep the folder, and see \"Publishing status\" in docs/operating.md")
	}
	if f.content == nil {
		f.content = map[string][]byte{}
	}
	f.next, f.content[file.File] = append(f.next, file), p.Content
	return &file, nil
}

// fill writes the files, and then the index. While files are replaced the index says what
// each of them was and what it will be, so that whoever reads meanwhile, or after a crash,
// can tell both from damage.
func (f *filling) fill() error {
	between := published.Index{Checked: f.known.Checked, Next: f.next}
	was := func(file published.File) *published.File {
		if f.content[file.File] == nil {
			return &file
		}
		for _, old := range f.known.Files() {
			if old.File == file.File {
				return &old
			}
		}
		return nil
	}
	for _, l := range f.index.Lists {
		if old := was(l); old != nil {
			between.Lists = append(between.Lists, *old)
		}
	}
	if f.index.Trust != nil {
		between.Trust = was(*f.index.Trust)
	}
	if len(f.next) > 0 && len(between.Files()) > 0 {
		if err := between.Write(f.out); err != nil {
			return err
		}
	}
	for _, file := range f.next {
		if err := durable.Replace(filepath.Join(f.out, file.File), f.content[file.File], 0o644); err != nil {
			return err
		}
	}
	return f.index.Write(f.out)
}

// newerList reports whether one list token is of a later date than another.
func newerList(old, next []byte) bool {
	a, err := parseList(old)
	if err != nil {
		return false // whatever it is, nobody can use it
	}
	b, err := parseList(next)
	return err != nil || a.IssuedAt.After(b.IssuedAt)
}

// parseList reads a list token of either form.
func parseList(token []byte) (*statuslist.TokenInfo, error) {
	if isJWT(token) {
		return statuslist.ParseJWT(string(token), 0)
	}
	return statuslist.ParseToken(token, 0)
}

// isJWT reports whether a list token is of the JWT form: it begins with a JSON object
// in base64url, as no CWT does.
func isJWT(token []byte) bool { return bytes.HasPrefix(token, []byte("ey")) }

// newerBundle reports whether one trust bundle has a later version than another.
func newerBundle(old, next []byte) bool {
	a, err := trust.Open(old)
	if err != nil {
		return false
	}
	b, err := trust.Open(next)
	return err != nil || a.Version > b.Version
}

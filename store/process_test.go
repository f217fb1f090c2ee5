package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// helper is set for copies of the test program that run as another process: it
// says what to do, and with which database.
const helper = "SANAD_STORE_TEST_HELPER"

func TestMain(m *testing.M) {
	what, path, _ := strings.Cut(os.Getenv(helper), " ")
	do := map[string]func(*store.DB) error{"hold": hold, "write": writeOn, "limit": writeLimited}[what]
	if do == nil {
		os.Exit(m.Run())
	}
	db, err := store.Open(context.Background(), path, options)
	if err == nil {
		err = errors.Join(do(db), db.Close())
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// A process is a copy of the test program at work.
type process struct {
	*exec.Cmd
	out *bufio.Scanner
	in  io.Closer
}

func start(t *testing.T, what, path string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(os.Environ(), helper+"="+what+" "+path)
	out, err := p.StdoutPipe()
	must(t, err)
	p.in, err = p.StdinPipe()
	must(t, err)
	must(t, p.Start())
	t.Cleanup(func() { _ = p.Process.Kill() })
	p.out = bufio.NewScanner(out)
	return p
}

// line waits for a line of output.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.out.Scan() {
		t.Fatalf("the other process ended: %v", p.Wait())
	}
	return p.out.Text()
}

// hold has the database until its input ends.
func hold(*store.DB) error {
	fmt.Println("open")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// chunk issues credentials from number n on, with an audit entry each.
func chunk(db *store.DB, n, size int) error {
	var creds []issuance.Credential
	var all []audit.Event
	for i := range size {
		creds = append(creds, credential(n+i))
		all = append(all, audit.Event{Time: now, Kind: audit.CredentialIntended, Actor: "tester", Credential: credID(n + i)})
	}
	return db.Write(context.Background(), func(tx issuance.Tx) error {
		return errors.Join(tx.Intend(creds), tx.Append(all))
	})
}

// writeOn issues chunk after chunk and says after each one how far it is.
func writeOn(db *store.DB) error {
	n := 1
	for _, err := range db.Find(context.Background(), issuance.Query{}) {
		if err != nil {
			return err
		}
		n++
	}
	for {
		if err := chunk(db, n, 7); err != nil {
			return err
		}
		n += 7
		fmt.Println(n - 1)
	}
}

func TestDB09(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector finds nothing here: all of it happens one after the other")
	}
	path := closed(t)
	p := start(t, "hold", path)
	if got := p.line(t); got != "open" {
		t.Fatal(got)
	}
	for _, name := range []string{"DB-09 a second process", "DB-09 and once more"} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), path, options)
			wantRefusal(t, err, store.ErrInUse)
			if !strings.Contains(err.Error(), fmt.Sprintf("process %d", p.Process.Pid)) {
				t.Errorf("%v does not name process %d", err, p.Process.Pid)
			}
		})
	}
	t.Run("DB-09 reading beside it", func(t *testing.T) {
		db, err := store.Open(t.Context(), path, store.Options{Instance: "office-1", ReadOnly: true})
		must(t, err)
		if n := count(t, db, issuance.Query{}); n != 500 {
			t.Errorf("%d credentials, want 500", n)
		}
		if err := db.Write(t.Context(), func(issuance.Tx) error { return nil }); err == nil {
			t.Error("it writes")
		}
		must(t, db.Close())
	})
	must(t, p.Process.Kill())
	_ = p.Wait()
	t.Run("DB-09 after kill -9", func(t *testing.T) {
		db, err := store.Open(t.Context(), path, options)
		must(t, err)
		must(t, db.Close())
	})
	t.Run("DB-09 two in one process", func(t *testing.T) {
		db, err := store.Open(t.Context(), path, options)
		must(t, err)
		_, err = store.Open(t.Context(), path, options)
		wantRefusal(t, err, store.ErrInUse)
		// Opening and closing the file must not have taken SQLite's locks away:
		// a reader that comes and goes would remove the write-ahead log otherwise.
		must(t, chunk(db, 501, 7))
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			t.Fatal(err)
		}
		out, err := exec.Command(os.Args[0], "-test.run=^TestReadBeside$").CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestReadBeside$")
		cmd.Env = append(os.Environ(), readBeside+"="+path)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		must(t, chunk(db, 508, 7))
		must(t, db.Close())
		if db, err = store.Open(t.Context(), path, options); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, issuance.Query{}); n != 514 {
			t.Errorf("%d credentials, want 514", n)
		}
		must(t, db.Close())
	})
}

// readBeside names the database that TestReadBeside reads.
const readBeside = "SANAD_STORE_TEST_READ"

// TestReadBeside is the reader of TestDB09, in a process of its own.
func TestReadBeside(t *testing.T) {
	path := os.Getenv(readBeside)
	if path == "" {
		path = closed(t)
	}
	db, err := store.Open(t.Context(), path, store.Options{Instance: "office-1", ReadOnly: true})
	must(t, err)
	count(t, db, issuance.Query{})
	must(t, db.Close())
}

// TestKill kills a process while it writes: whatever it said was stored is.
func TestKill(t *testing.T) {
	kills := 20
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		kills = 500
	case testing.Short():
		kills = 3
	}
	path := filepath.Join(t.TempDir(), "issuer.db")
	db, err := store.Create(t.Context(), path, options)
	must(t, err)
	fill(t, db, 0)
	must(t, db.Close())
	rnd := rand.New(rand.NewPCG(1, 1))
	stored := 0
	for range kills {
		p := start(t, "write", path)
		told := p.line(t)
		end := time.Now().Add(time.Duration(rnd.IntN(60)) * time.Millisecond)
		for time.Now().Before(end) {
			told = p.line(t)
		}
		must(t, p.Process.Kill())
		for p.out.Scan() { // said before it died
			told = p.out.Text()
		}
		_ = p.Wait()
		last := 0
		if _, err := fmt.Sscan(told, &last); err != nil {
			t.Fatalf("the other process said %q", told)
		}
		db, err := store.Open(t.Context(), path, options)
		must(t, err)
		n := count(t, db, issuance.Query{})
		size, err := db.AuditSize(t.Context())
		must(t, err)
		if n < last || n%7 != 0 || size != int64(n)+3 {
			t.Fatalf("%d credentials and %d audit entries are stored, %d were acknowledged", n, size, last)
		}
		must(t, db.Close())
		stored = n
	}
	t.Logf("%d kills, %d credentials, nothing lost", kills, stored)
}

// writeLimited writes with a limit on the size of files, so that the system
// fails a write in the middle of a transaction.
func writeLimited(db *store.DB) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 400 << 10, Max: 1 << 30}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	n := 1
	for {
		err := chunk(db, n, 50)
		if err == nil {
			n += 50
			fmt.Println(n - 1)
			continue
		}
		fmt.Println("failed:", err)
		break
	}
	limit.Cur = 1 << 30
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := chunk(db, n, 50); !errors.Is(err, store.ErrBroken) {
		return fmt.Errorf("a write after a disk error: %v, want ErrBroken", err)
	}
	fmt.Println("stopped")
	return nil
}

// TestDB03 lets the system fail a write: the transaction is not stored, nothing
// more is written, and the next start finds everything that was acknowledged.
func TestDB03(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector finds nothing here: all of it happens one after the other")
	}
	path := filepath.Join(t.TempDir(), "issuer.db")
	db, err := store.Create(t.Context(), path, options)
	must(t, err)
	fill(t, db, 0)
	must(t, db.Close())
	p := start(t, "limit", path)
	last, failed := 0, ""
	for failed == "" {
		if said := p.line(t); strings.HasPrefix(said, "failed: ") {
			failed = said
		} else if _, err := fmt.Sscan(said, &last); err != nil {
			t.Fatal(said)
		}
	}
	if got := p.line(t); got != "stopped" {
		t.Errorf("after %q: %s", failed, got)
	}
	_ = p.Wait() // closing may fail, too
	if db, err = store.Open(t.Context(), path, options); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, issuance.Query{}); n != last && n != last+50 {
		t.Errorf("%d credentials are stored, %d were acknowledged; the write that failed had 50", n, last)
	}
	must(t, chunk(db, 10_001, 50))
	must(t, db.Close())
	t.Logf("%d acknowledged, then %s", last, failed)
}

// TestDB02 fills the disk: what does not fit is not stored, and when there is
// space again everything goes on.
func TestDB02(t *testing.T) {
	db := create(t)
	fill(t, db, 0)
	pages, err := db.PragmaWriter(t.Context(), "page_count")
	must(t, err)
	var limit int
	if _, err := fmt.Sscan(pages, &limit); err != nil {
		t.Fatal(err)
	}
	full := func(on bool) {
		limit := limit + 40
		if !on {
			limit = 1 << 30
		}
		_, err := db.PragmaWriter(t.Context(), fmt.Sprintf("max_page_count(%d)", limit))
		must(t, err)
	}
	n := 1
	for range 5 {
		full(true)
		for {
			err := chunk(db, n, 50)
			if err == nil {
				n += 50
				continue
			}
			if !errors.Is(err, store.ErrNoSpace) {
				t.Fatalf("chunk: %v, want ErrNoSpace", err)
			}
			break
		}
		if got := count(t, db, issuance.Query{}); got != n-1 {
			t.Errorf("%d credentials are stored, %d were acknowledged", got, n-1)
		}
		full(false)
		must(t, chunk(db, n, 50))
		n += 50
		limit += 60
	}
	again := reopen(t, db)
	size, err := again.AuditSize(t.Context())
	must(t, err)
	if got := count(t, again, issuance.Query{}); got != n-1 || size != int64(n-1)+3 {
		t.Errorf("%d credentials and %d audit entries are stored, %d were acknowledged", got, size, n-1)
	}
}

func TestDB04(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, path string)
	}{
		{"DB-04 removed", func(t *testing.T, path string) { must(t, os.Remove(path)) }},
		{"DB-04 renamed", func(t *testing.T, path string) { must(t, os.Rename(path, path+".old")) }},
		{"DB-04 replaced", func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			must(t, err)
			must(t, os.Remove(path))
			must(t, os.WriteFile(path, b, 0o600))
		}},
		{"DB-04 truncated", func(t *testing.T, path string) { must(t, os.Truncate(path, 8192)) }},
		{"DB-04 emptied", func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) }},
		{"DB-04 read-only", func(t *testing.T, path string) { must(t, os.Chmod(path, 0o400)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := closed(t)
			db, err := store.Open(t.Context(), path, options)
			must(t, err)
			must(t, chunk(db, 501, 7))
			tt.spoil(t, path)
			for range 2 {
				if err := chunk(db, 508, 7); !errors.Is(err, store.ErrFileChanged) {
					t.Errorf("Write: %v, want ErrFileChanged", err)
				}
			}
			_ = db.Close() // what remains of it
		})
	}
}

// TestDB19 lets a program go on whose database has moved to the next epoch, as
// after a restore.
func TestDB19(t *testing.T) {
	db := create(t)
	fill(t, db, 3)
	must(t, execute(t, db.Path(), "UPDATE meta SET epoch = epoch + 1"))
	for range 2 {
		if err := chunk(db, 501, 7); !errors.Is(err, store.ErrFenced) {
			t.Errorf("DB-19 Write: %v, want ErrFenced", err)
		}
	}
	if err := db.CheckFence(t.Context()); !errors.Is(err, store.ErrFenced) {
		t.Errorf("DB-19 CheckFence: %v, want ErrFenced", err)
	}
	again := reopen(t, db)
	if again.Epoch() != 2 {
		t.Errorf("epoch %d, want 2", again.Epoch())
	}
	must(t, chunk(again, 501, 7))
}

func TestClosed(t *testing.T) {
	db := create(t)
	must(t, db.Close())
	must(t, db.Close())
	if err := db.Write(t.Context(), func(issuance.Tx) error { t.Error("f was called"); return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Write: %v, want ErrClosed", err)
	}
	_, err1 := db.Credential(t.Context(), "x")
	_, err2 := db.Lists(t.Context())
	for _, err := range []error{err1, err2} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%v, want ErrClosed", err)
		}
	}
}

// TestKeptTx uses a transaction after its end.
func TestKeptTx(t *testing.T) {
	db := create(t)
	var kept issuance.Tx
	must(t, db.Write(t.Context(), func(tx issuance.Tx) error { kept = tx; return nil }))
	if err := kept.SaveProgramme(programmeRow()); err == nil {
		t.Error("it writes")
	}
}

package pgtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say what a cluster is like.
type Options struct {
	// Durable makes the server wait for the disk at every commit, as a real one
	// does. Optional: a kill of the server, unlike a loss of power, needs no disk.
	Durable bool

	// Checksums makes the server keep a checksum of every page. Optional; otherwise it is
	// as the server's programs have it.
	Checksums bool

	// Settings are further settings of the server, such as max_connections.
	// Optional.
	Settings map[string]string
}

// A Cluster is a PostgreSQL server with its data. Its methods are called from one
// goroutine at a time, except that any may ask for Socket or URL.
type Cluster struct {
	bin  string // directory of the server's programs
	dir  string // of the socket, the data and the log
	port int    // part of the socket's name, and nothing else
	o    Options
	user *account // who runs the server

	supervisor *exec.Cmd
	orders     io.WriteCloser // to the supervisor; at its end it cleans up
	answers    *bufio.Scanner
	pid        int // of the postmaster; 0 while it does not run
	end        sync.Once
}

// supervise is what the supervising process does: it starts the server when told
// to, waits for its end when told to, and at the end of its input, which comes
// even if the test process is killed, it stops the server and removes everything,
// the System V segment of a server that was killed included (line 7 of its pid
// file).
const supervise = `dir=$1; shift; pid=
while read -r order; do
	case $order in
	start) "$@" </dev/null >>"$dir/log" 2>&1 & pid=$!; echo $pid ;;
	wait) wait $pid; pid=; echo gone ;;
	esac
done
if [ -n "$pid" ]; then kill -QUIT $pid; wait $pid; fi
if [ -f "$dir/data/postmaster.pid" ]; then
	set -- $(sed -n 7p "$dir/data/postmaster.pid")
	ipcrm -m "$2"
fi
rm -rf "$dir"
`

// Start starts a cluster for this test alone. It is stopped and removed when the
// test ends.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := newCluster(o)
	need(t, err)
	c.endWith(t)
	return c
}

func (c *Cluster) endWith(t testing.TB) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", c.log())
		}
		if err := c.close(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
}

// newCluster makes a cluster and starts it.
func newCluster(o Options) (*Cluster, error) {
	c, err := newFolder(o)
	if err != nil {
		return nil, err
	}
	fresh, err := initialised()
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	if out, err := c.as(exec.Command("cp", "-a", fresh.data(), c.data())).CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("copy the data: %w: %s", err, bytes.TrimSpace(out)), c.close())
	}
	if o.Checksums {
		out, err := c.command("pg_checksums", "--enable", "--no-sync", "-D", c.data()).CombinedOutput()
		if err != nil && !bytes.Contains(out, []byte("already enabled")) {
			return nil, errors.Join(fmt.Errorf("pg_checksums: %w: %s", err, bytes.TrimSpace(out)), c.close())
		}
	}
	if err := c.launch(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// initialised is a folder with the data of an empty cluster. No server ever runs
// on it: to copy it takes a tenth of what it takes to make it.
var initialised = sync.OnceValues(func() (*Cluster, error) {
	c, err := newFolder(Options{})
	if err != nil {
		return nil, err
	}
	// The order of text is deliberately not that of its bytes, so that a query
	// which relies on the database's own order shows.
	initdb := c.command("initdb", "-D", c.data(), "-U", admin, "-A", "trust", "-E", "UTF8", "--no-locale",
		"--locale-provider=icu", "--icu-locale=en-US", "--wal-segsize=4", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out)), c.close())
	}
	return c, nil
})

// newFolder makes the folder of a cluster, with a supervisor but no data.
func newFolder(o Options) (*Cluster, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	user, err := serverUser()
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, o: o, user: user, port: 20000 + rand.IntN(40000)}
	if c.dir, err = os.MkdirTemp(user.temp(), "sanad-pg-"); err != nil {
		return nil, err
	}
	if err := user.give(c.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	if err := c.startSupervisor(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	return c, nil
}

func (c *Cluster) startSupervisor() error {
	args := []string{"-c", supervise, "sanad-pg-supervisor", c.dir, filepath.Join(c.bin, "postgres"), "-D", c.data()}
	settings := map[string]string{
		"listen_addresses": "", "unix_socket_directories": c.dir, "port": strconv.Itoa(c.port),
		// Without files in /dev/shm, which a kill would leave there.
		"dynamic_shared_memory_type": "mmap",
		"max_connections":            "200",
		"wal_level":                  "replica", "max_wal_senders": "5", "hot_standby": "on",
		"cluster_name":      filepath.Base(c.dir), // the name of a standby at its primary
		"log_line_prefix":   "%m [%p] %u@%d ",
		"logging_collector": "off", "log_destination": "stderr",
	}
	if !c.o.Durable {
		settings["fsync"] = "off"
	}
	for k, v := range c.o.Settings {
		settings[k] = v
	}
	for k, v := range settings {
		args = append(args, "-c", k+"="+v)
	}
	cmd := c.as(exec.Command("sh", args...))
	orders, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	c.supervisor, c.orders, c.answers = cmd, orders, bufio.NewScanner(answers)
	return nil
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// command is a program of the server, run by the server's user.
func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	return c.as(exec.Command(filepath.Join(c.bin, name), args...))
}

// as makes a command run as the server's user, in the cluster's folder, in a
// session of its own, so that no terminal or killed process group takes it along.
func (c *Cluster) as(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + c.dir}
	c.user.run(cmd)
	return cmd
}

// order tells the supervisor something and returns its answer.
func (c *Cluster) order(word string) (string, error) {
	if _, err := io.WriteString(c.orders, word+"\n"); err != nil {
		return "", fmt.Errorf("the supervisor: %w", err)
	}
	if !c.answers.Scan() {
		return "", errors.Join(errors.New("the supervisor is gone"), c.answers.Err())
	}
	return c.answers.Text(), nil
}

// launch starts the server and waits until it takes connections.
func (c *Cluster) launch() error {
	answer, err := c.order("start")
	if err != nil {
		return err
	}
	if c.pid, err = strconv.Atoi(answer); err != nil {
		return fmt.Errorf("the supervisor says %q", answer)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := c.do(func(ctx context.Context, conn *pgx.Conn) error { return nil })
		if err == nil {
			return nil
		}
		if gone(c.pid) || time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("start PostgreSQL: %w\n%s", err, c.log()), c.halt(killSignal))
		}
	}
}

// halt ends the server by a signal and waits until it is gone.
func (c *Cluster) halt(signal signal) error {
	if c.pid == 0 {
		return nil
	}
	if err := send(c.pid, signal); err != nil {
		return err
	}
	c.pid = 0
	_, err := c.order("wait")
	return err
}

// Running says whether the server was started and neither killed nor stopped.
func (c *Cluster) Running() bool { return c.pid != 0 }

// Stop shuts the server down in order. Clients lose their connections;
// transactions that had not committed are rolled back.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	if err := c.halt(fastSignal); err != nil {
		t.Fatalf("pgtest: stop: %v", err)
	}
}

// Kill ends every process of the server at once, as a dying machine does.
func (c *Cluster) Kill(t testing.TB) {
	t.Helper()
	c.kill(t, true)
}

// KillPostmaster kills the first process of the server only. The ones that serve
// connections notice it and end themselves, after what they are just doing.
func (c *Cluster) KillPostmaster(t testing.TB) {
	t.Helper()
	c.kill(t, false)
}

// kill returns when every process of the server has ended.
func (c *Cluster) kill(t testing.TB, all bool) {
	t.Helper()
	if c.pid == 0 {
		t.Fatal("pgtest: Kill: the server does not run")
	}
	others, err := killAll(c.pid, all)
	c.pid = 0
	if err == nil {
		_, err = c.order("wait")
	}
	if err == nil {
		err = awaitEnd(others)
	}
	if err != nil {
		t.Fatalf("pgtest: kill: %v", err)
	}
}

// Restart starts the server on the same data, after Stop or Kill.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	if c.pid != 0 {
		t.Fatal("pgtest: Restart: the server runs")
	}
	if err := c.launch(); err != nil {
		t.Fatalf("pgtest: restart: %v", err)
	}
}

// Damage inverts 64 bytes in the middle of the first page of tables or indexes, as a disk
// does: in their files, while the server is stopped. The same once more puts them back.
// The database is that of a URL that [Cluster.New] returned.
func (c *Cluster) Damage(t testing.TB, db string, relations ...string) {
	t.Helper()
	paths := make([]string, len(relations))
	for i, r := range relations {
		c.Query(t, db, "SELECT pg_relation_filepath('"+r+"')", &paths[i])
	}
	c.Stop(t)
	for i, path := range paths {
		if err := invert(filepath.Join(c.data(), path)); err != nil {
			t.Fatalf("pgtest: damage %s: %v", relations[i], err)
		}
	}
	c.Restart(t)
}

func invert(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	const middle = 4096 // of a page of 8 KiB
	b := make([]byte, 64)
	if _, err = f.ReadAt(b, middle); err == nil {
		for i := range b {
			b[i] ^= 0xff
		}
		_, err = f.WriteAt(b, middle)
	}
	return errors.Join(err, f.Close())
}

// close ends everything and waits until nothing is left.
func (c *Cluster) close() error {
	var err error
	c.end.Do(func() {
		err = c.orders.Close() // of which the supervisor cleans up
		for c.answers.Scan() { // until its end
		}
		err = errors.Join(err, c.supervisor.Wait(), os.RemoveAll(c.dir))
	})
	return err
}

// log is the end of the server's log.
func (c *Cluster) log() string {
	text, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-4000):]))
}

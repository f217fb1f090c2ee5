package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/sanad-id/sanad/internal/web"
)

// atOnce is how many clients there are, -clients. Their requests share commits of the store.
var atOnce = 32

// servers measures both servers over HTTP on this machine: wallets and servers share
// its cores. Each request is made before time is taken. The bound is what the same
// request and answer take with a handler that does nothing, and the signatures that the
// measure names, on all cores, one after the other in the same round.
func servers(rounds int) []row {
	web.RoomyHeap() // as the programs do
	var rows []row
	for _, measure := range []func(dir string, rounds int) ([]row, error){issuing, verifying} {
		dir := must(os.MkdirTemp("", "sanad-bench-"))
		more, err := measure(dir, rounds)
		must(0, errors.Join(err, os.RemoveAll(dir)))
		rows = append(rows, more...)
	}
	return rows
}

// requestsEach is how many requests of a client each round of a measure over HTTP sends.
const requestsEach = 4

// A load is one kind of request whose answers are timed.
type load struct {
	row
	// prepare makes the requests of a round.
	prepare func(n int) ([]*posting, error)
	// signs and verifies are the signatures of the bound.
	signs, verifies int
}

// run measures a load.
func (l load) run(client *http.Client, rounds int) (row, error) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	digest := sha256.Sum256([]byte("bench"))
	signature := must(ecdsa.SignASN1(rand.Reader, key, digest[:]))
	crypto := func() {
		for range l.signs {
			must(ecdsa.SignASN1(rand.Reader, key, digest[:]))
		}
		for range l.verifies {
			if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
				panic("bench: internal error: own signature does not verify")
			}
		}
	}
	var values, perSecond []float64
	for range rounds + 1 { // the first warms up
		all, err := l.prepare(requestsEach * atOnce)
		if err != nil {
			return row{}, err
		}
		took, answer, err := sendAll(client, all)
		if err != nil {
			return row{}, err
		}
		nothing, err := idle(client, all, answer)
		if err != nil {
			return row{}, err
		}
		passed := stopwatch()
		parallel(runtime.GOMAXPROCS(0), len(all), func(int) error { crypto(); return nil })
		values = append(values, float64(nothing+passed())/float64(took))
		perSecond = append(perSecond, float64(len(all))/took.Seconds())
	}
	if err := l.profile(client); err != nil {
		return row{}, err
	}
	values, perSecond = values[1:], perSecond[1:]
	slices.Sort(values)
	slices.Sort(perSecond)
	fmt.Printf("%s: %.0f a second\n", l.measure, perSecond[rounds/2])
	l.value, l.low, l.high = values[rounds/2], values[rounds/4], values[rounds*3/4]
	return l.row, nil
}

// profile writes where the processor time of eight rounds goes to a file that is named
// after the measure, if there is a folder for that.
func (l load) profile(client *http.Client) error {
	if profiles == "" {
		return nil
	}
	all, err := l.prepare(8 * requestsEach * atOnce)
	if err != nil {
		return err
	}
	name := strings.ToLower(l.id + " " + l.measure + " " + l.baseline)
	f, err := os.Create(filepath.Join(profiles, strings.Join(strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), "-")+".prof"))
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	_, _, err = sendAll(client, all)
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

// A posting is a request that waits to be sent.
type posting struct {
	url    string
	header http.Header
	body   []byte
}

// send sends it and returns the answer, which must be good.
func (p *posting) send(client *http.Client) ([]byte, http.Header, error) {
	r, err := http.NewRequest(http.MethodPost, p.url, bytes.NewReader(p.body))
	if err != nil {
		return nil, nil, err
	}
	r.Header = p.header
	res, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s: %d %s", p.url, res.StatusCode, b)
	}
	return b, res.Header, err
}

// sendAll sends requests, atOnce at a time, and returns how long that took, and one of
// the answers.
func sendAll(client *http.Client, all []*posting) (time.Duration, []byte, error) {
	answers := make([][]byte, len(all))
	passed := stopwatch()
	err := parallel(atOnce, len(all), func(i int) error {
		var err error
		answers[i], _, err = all[i].send(client)
		return err
	})
	return passed(), answers[0], err
}

// idle sends the same requests to a server that reads them and gives this answer.
func idle(client *http.Client, all []*posting, answer []byte) (time.Duration, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			w.Header().Set("Content-Type", web.MediaJSON)
			_, _ = w.Write(answer)
		}
	})}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	same := make([]*posting, len(all))
	for i, p := range all {
		same[i] = &posting{"http://" + l.Addr().String() + "/", p.header, p.body}
	}
	if _, _, err := sendAll(client, same[:min(atOnce, len(same))]); err != nil { // opens the connections
		return 0, err
	}
	took, _, err := sendAll(client, same)
	return took, err
}

// parallel does something n times, so many at once.
func parallel(atOnce, n int, do func(i int) error) error {
	var wg sync.WaitGroup
	next := make(chan int)
	errs := make([]error, n)
	for range atOnce {
		wg.Go(func() {
			for i := range next {
				errs[i] = do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

func newClient() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * atOnce, MaxConnsPerHost: 2 * atOnce}}
}

// freeAddress is an address of this machine that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// serve serves routes as the programs do, without limits of rate, until stop is called.
func serve(addr string, routes []web.Route) (stop func(), err error) {
	generous := web.Rate{Requests: 1 << 30, Per: time.Second, Burst: 1 << 30}
	rates := web.DefaultRates()
	for name := range rates {
		rates[name] = generous
	}
	for _, r := range routes {
		if r.Rate != "" {
			rates[r.Rate] = generous
		}
	}
	s, err := web.Listen(context.Background(), web.Config{
		Addr: addr, DevHTTP: true, Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), Rates: rates, Metrics: web.NewMetrics(),
	}, routes)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		_ = s.Serve(ctx)
		close(ended)
	}()
	return func() { cancel(); <-ended }, nil
}

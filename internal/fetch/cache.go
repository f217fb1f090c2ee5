package fetch

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// cache keeps answers by what was asked. The zero value is empty.
type cache struct {
	mu    sync.Mutex
	kept  map[string]kept
	bytes int // of all of them
	uses  uint64
}

// kept is an answer that may be used again.
type kept struct {
	answer Answer
	tag    string    // ETag
	fresh  time.Time // until when it may be used without asking
	used   uint64    // when it was last used, as a count of uses
}

// size is how many bytes an answer takes.
func (k kept) size() int {
	n := len(k.answer.Body)
	for name, values := range k.answer.Header {
		n += len(name) + len(strings.Join(values, ""))
	}
	return n
}

// key is what must be equal for one answer to serve another request: the whole
// address, and what may come back.
func key(r Request) string {
	return strings.Join([]string{r.Address, strings.Join(r.Types, ","), r.Header.Get("Accept")}, "\n")
}

// keeps reports whether a kept answer may serve a request: it reads, and says of who asks nothing.
func keeps(r Request) bool {
	for name := range r.Header {
		if name != "Accept" {
			return false
		}
	}
	return r.Keep && r.Method == http.MethodGet
}

// get is send with the cache between.
func (c *Client) get(ctx context.Context, r Request) (Answer, error) {
	if _, _, err := check(r.Address, c.cfg.LocalHosts); err != nil {
		return Answer{}, err
	}
	k := key(r)
	old, known := c.cache.find(k)
	if known && c.cfg.Now().Before(old.fresh) {
		return old.answer, nil
	}
	if known && old.tag != "" {
		r.Header = r.Header.Clone()
		if r.Header == nil {
			r.Header = http.Header{}
		}
		r.Header.Set("If-None-Match", old.tag)
	}
	a, err := c.send(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	if a.Status == http.StatusNotModified {
		if !known || old.tag == "" {
			return Answer{}, ErrStatus // nobody asked for it
		}
		age, _ := c.lasts(r, a.Header, old.answer.Body) // 0 if it may not be kept longer
		old.fresh = c.cfg.Now().Add(age)
		c.cache.put(k, old, c.cfg)
		return old.answer, nil
	}
	age, keep := c.lasts(r, a.Header, a.Body)
	one := kept{answer: a, tag: a.Header.Get("ETag"), fresh: c.cfg.Now().Add(age)}
	if keep && a.Status == http.StatusOK && one.size() <= c.cfg.MaxKept/4 {
		one.answer.Body = bytes.Clone(a.Body) // it was read into more room than it takes
		c.cache.put(k, one, c.cfg)
	} else {
		c.cache.drop(k)
	}
	return a, nil
}

// lasts is for how long an answer is fresh, at most MaxAge, and whether it may be kept at all.
func (c *Client) lasts(r Request, h http.Header, body []byte) (age time.Duration, keep bool) {
	if r.Fresh != nil && c.cfg.MaxAge > 0 {
		if age, says := r.Fresh(body); says {
			return max(0, min(age, c.cfg.MaxAge)), true
		}
	}
	return c.age(h)
}

// age is for how long an answer is fresh (RFC 9111 section 5.2.2) beyond the time that it lay in
// caches on the way (section 5.1), at most MaxAge, and whether it may be kept at all. Without
// a word of the server it is asked again each time, with the tag that it gave.
func (c *Client) age(h http.Header) (age time.Duration, keep bool) {
	if c.cfg.MaxAge <= 0 {
		return 0, false
	}
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "private":
			return 0, false
		case "no-cache":
			return 0, true
		case "max-age":
			n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return 0, true
			}
			age = time.Duration(n) * time.Second
		}
	}
	if lay := h.Get("Age"); lay != "" {
		n, err := strconv.ParseUint(lay, 10, 31)
		if err != nil {
			return 0, true
		}
		age = max(0, age-time.Duration(n)*time.Second)
	}
	return min(age, c.cfg.MaxAge), true
}

func (c *cache) find(key string) (kept, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.kept[key]
	if ok {
		c.uses++
		k.used = c.uses
		c.kept[key] = k
	}
	return k, ok
}

// put keeps an answer and lets go of those that were not used for longest.
func (c *cache) put(key string, k kept, cfg Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[string]kept{}
	}
	c.remove(key)
	c.uses++
	k.used = c.uses
	c.kept[key] = k
	for c.bytes += k.size(); len(c.kept) > cfg.Entries || c.bytes > cfg.MaxKept; {
		c.remove(c.oldest())
	}
}

// oldest is the answer that was not used for longest.
func (c *cache) oldest() string {
	oldest, least := "", c.uses+1
	for key, k := range c.kept {
		if k.used < least {
			oldest, least = key, k.used
		}
	}
	return oldest
}

func (c *cache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(key)
}

// remove is drop for who holds the lock.
func (c *cache) remove(key string) {
	if k, ok := c.kept[key]; ok {
		c.bytes -= k.size()
		delete(c.kept, key)
	}
}

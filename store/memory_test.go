package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"vigie/store"
	"vigie/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Soft(t, func(*testing.T) (store.Soft, func() store.Soft) {
		m := store.NewMemory()
		return m, func() store.Soft {
			m = m.Reopen()
			return m
		}
	})
}

func TestMemoryFails(t *testing.T) {
	ctx := context.Background()
	m := store.NewMemory()
	before, err := m.Put(ctx, "k", []byte("v"), time.Time{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	var asked []string
	m.Fail(func(op store.Op, key string) error {
		asked = append(asked, string(op)+" "+key)
		return broken
	})
	_, put := m.Put(ctx, "k", []byte("new"), time.Time{}, store.AnyRevision)
	_, del := m.Delete(ctx, "k", store.AnyRevision)
	load := m.Load(ctx, "k", func(store.Entry) error { return nil })
	follow := m.Follow(ctx, "k", func(store.Change) error { return nil })
	for i, err := range []error{put, del, load, follow} {
		if err != broken {
			t.Errorf("operation %d: %v, want the fault", i, err)
		}
	}
	if got, want := fmt.Sprint(asked), "[put k delete k load k follow k]"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	m.Fail(nil)
	m.Load(ctx, "", func(e store.Entry) error {
		if string(e.Value) != "v" || e.Revision != before {
			t.Errorf("after the faults: %q at %d, want v at %d", e.Value, e.Revision, before)
		}
		return nil
	})
}

func TestMemoryForgetsOldEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		m := store.NewMemory()
		for i := range 20000 {
			if _, err := m.Put(ctx, fmt.Sprint(i), nil, time.Now().Add(time.Minute), 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		// An hour and a minute of entries, one a second, are in use.
		if n := m.Len(); n > 3*3660 {
			t.Errorf("%d entries are kept", n)
		}
	})
}

func TestFollowerTooSlow(t *testing.T) {
	ctx := context.Background()
	m := store.NewMemory()
	defer m.Close()
	if _, err := m.Put(ctx, "k", nil, time.Time{}, 0); err != nil {
		t.Fatal(err)
	}
	stuck, free := make(chan bool), make(chan bool)
	ended := make(chan error)
	go func() {
		first := true
		ended <- m.Follow(ctx, "", func(store.Change) error {
			if first {
				first = false
				stuck <- true
				<-free
			}
			return nil
		})
	}()
	<-stuck
	for range 70000 {
		if _, err := m.Put(ctx, "k", nil, time.Time{}, store.AnyRevision); err != nil {
			t.Fatal(err)
		}
	}
	close(free)
	if err := <-ended; !errors.Is(err, store.ErrBehind) {
		t.Errorf("Follow: %v, want ErrBehind", err)
	}
}

func TestMemoryDirectory(t *testing.T) {
	storetest.Directory(t, func(*testing.T) store.Directory { return store.NewMemoryDirectory() })
}

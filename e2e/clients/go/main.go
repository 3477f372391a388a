// The Go client of zishang520/socket.io as a program of the client matrix (see ../README.md).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/zishang520/socket.io/clients/engine/v3/transports"
	"github.com/zishang520/socket.io/clients/socket/v3"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

var output sync.Mutex

func print(line map[string]any) {
	output.Lock()
	defer output.Unlock()
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func first(args []any) any {
	if len(args) == 0 {
		return nil
	}
	return args[0]
}

func main() {
	url, token, transport := os.Args[1], os.Args[2], os.Args[3]
	options := socket.DefaultOptions()
	options.SetAuth(map[string]any{"token": token})
	options.SetReconnectionDelay(100)
	options.SetReconnectionDelayMax(1000)
	switch transport {
	case "websocket":
		options.SetTransports(types.NewSet(transports.WebSocket))
	case "polling":
		options.SetTransports(types.NewSet(transports.Polling))
	default:
		options.SetTransports(types.NewSet(transports.Polling, transports.WebSocket))
	}
	client, err := socket.Connect(url, options)
	if err != nil {
		panic(err)
	}
	client.On("connect", func(...any) {
		print(map[string]any{"kind": "connect", "recovered": client.Recovered()})
	})
	client.On("disconnect", func(args ...any) {
		print(map[string]any{"kind": "disconnect", "reason": fmt.Sprint(first(args))})
	})
	client.On("connect_error", func(args ...any) {
		if !client.Active() {
			data, _ := json.Marshal(first(args))
			print(map[string]any{"kind": "refused", "data": string(data) + fmt.Sprint(first(args))})
		}
	})
	client.OnAny(func(args ...any) {
		print(map[string]any{"kind": "event", "name": fmt.Sprint(args[0]), "data": first(args[1:])})
	})

	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	for input.Scan() {
		var command struct {
			ID      int    `json:"id"`
			Event   string `json:"event"`
			Payload any    `json:"payload"`
		}
		if err := json.Unmarshal(input.Bytes(), &command); err != nil {
			panic(err)
		}
		client.EmitWithAck(command.Event, command.Payload)(func(args []any, err error) {
			if err == nil {
				print(map[string]any{"kind": "ack", "id": command.ID, "data": first(args)})
			}
		})
	}
}

vcl 4.1;

# Varnish before the gateway, a stand-in for a CDN; TLS ends before it (nginx, or a load balancer).
# The gateway must believe this address: BOXOFFICE_TRUSTED_NETWORKS=127.0.0.1/32.

import std;

backend gateway {
    .host = "127.0.0.1";
    .port = "8000";
    .connect_timeout = 2s;
    .first_byte_timeout = 30s;
    .between_bytes_timeout = 30s;
    .max_connections = 1000;
    .probe = {
        .url = "/health/live";
        .interval = 5s;
        .timeout = 2s;
        .window = 5;
        .threshold = 3;
        .initial = 3;
    }
}

sub vcl_recv {
    # Not for the world.
    if (req.url ~ "^/(metrics|health/ready)(\?|$)") {
        return (synth(404));
    }
    # A seat map, the largest body that the gateway takes.
    if (std.integer(req.http.Content-Length, 0) > 1048576) {
        return (synth(413));
    }
    if (req.http.Upgrade ~ "(?i)^websocket$") {
        return (pipe);
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    # Whoever says who they are gets answers of their own.
    if (req.http.Authorization || req.http.Cookie ~ "(^|;\s*)(__Host-)?session=") {
        return (pass);
    }
    # No other cookie is the shop's: with them every visitor would have a copy of every page.
    unset req.http.Cookie;
    # What newsletters and advertisements add to an address says nothing to the shop: where it stands alone or last it is
    # left out, from the key and from what the gateway is asked. (The bounds: nobody keeps us busy with a long address.)
    set req.url = regsub(req.url,
        "^([^?]*)\?((utm_[a-z]+|gclid|msclkid|fbclid|ttclid|[gw]braid|mc_[ce]id)=[^&]*(&|$)){1,12}$", "\1");
    set req.url = regsub(req.url,
        "^([^?]*\?.{1,400}?)(&(utm_[a-z]+|gclid|msclkid|fbclid|ttclid|[gw]braid|mc_[ce]id)=[^&]*){1,12}$", "\1");
    return (hash);
}

sub vcl_pipe {
    if (req.http.Upgrade) {
        set bereq.http.Upgrade = req.http.Upgrade;
        set bereq.http.Connection = "Upgrade";
    }
}

sub vcl_backend_response {
    # Kept is only what the answer itself calls public.
    if (beresp.http.Cache-Control !~ "(?i)(^|[\s,])public([\s,]|$)" || beresp.http.Set-Cookie
        || beresp.http.Vary == "*" || beresp.ttl <= 0s) {
        set beresp.uncacheable = true;
        set beresp.ttl = 5s;
        set beresp.grace = 0s;
        return (deliver);
    }
    # What must be asked about again is never shown stale; the rest as long as the answer allows.
    if (beresp.http.Cache-Control ~ "(?i)must-revalidate" || beresp.http.Cache-Control !~ "(?i)stale-while-revalidate") {
        set beresp.grace = 0s;
    }
    # An old answer is worth keeping for its ETag: asked again, the gateway says 304 and nothing is sent.
    set beresp.keep = 10m;
    return (deliver);
}

sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
    unset resp.http.Via;
    unset resp.http.X-Varnish;
}

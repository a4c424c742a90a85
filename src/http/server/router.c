/* router.c: which route a path leads to: patterns in a tree of their segments.
 *
 * What is written out is tried before a parameter, and that before what takes all the rest, going
 * back where a way ends; a path is split once, and its segments are compared decoded, so "/a%2Fb"
 * has one segment and never two. Called by app.c and connection.c.
 */
#include <string.h>

#include <coir/memory.h>

#include "app.h"
#include "../ws/ws.h"

/* ---- the tree ---- */

static struct coir__http_node *make_node(const char *segment, size_t length)
{
    struct coir__http_node *node = coir_calloc(1, sizeof *node + length + 1);
    if (node != NULL)
        memcpy(node->segment, segment, length);
    return node;
}

/* The node for a segment below parent, which is made when it is not there. */
static struct coir__http_node *child_of(struct coir__http_node *parent, const char *segment,
                                        size_t length)
{
    struct coir__http_node **place = &parent->first;
    bool rest = length > 5 && memcmp(segment + length - 4, "...}", 4) == 0;
    if (segment[0] == '{' && length > 0)
        place = rest ? &parent->rest : &parent->param;
    else
        while (*place != NULL && (strlen((*place)->segment) != length ||
                                  memcmp((*place)->segment, segment, length) != 0))
            place = &(*place)->next;
    if (*place == NULL)
        *place = make_node(segment, length);
    return *place;
}

/* Writes the name of a parameter to the route. Returns what is wrong. */
static const char *take_name(struct coir__http_route *route, const char *segment, size_t length)
{
    bool rest = length > 5 && memcmp(segment + length - 4, "...}", 4) == 0;
    size_t named = length - (rest ? 5 : 2);
    if (length < 3 || segment[length - 1] != '}' || !coir__http_is_token(segment + 1, named))
        return "a parameter is written {name} or {name...}";
    if (route->count == COIR__HTTP_PARAMS)
        return "a pattern has at most 16 parameters";
    char *name = coir_calloc(1, named + 1);
    if (name == NULL)
        return "there is not enough memory";
    route->names[route->count++] = memcpy(name, segment + 1, named);
    return NULL;
}

/* Walks along a pattern, making what is not there. route may be NULL: no parameters. */
static const char *walk(struct coir__http_node *node, const char *pattern,
                        struct coir__http_route *route, struct coir__http_node **ret_node)
{
    while (*pattern == '/') {
        const char *segment = pattern + 1;
        size_t length = strcspn(segment, "/");
        bool brace = memchr(segment, '{', length) != NULL || memchr(segment, '}', length) != NULL;
        if (brace) {
            const char *wrong =
                route != NULL ? take_name(route, segment, length) : "a prefix has no parameters";
            if (wrong != NULL)
                return wrong;
        }
        node = child_of(node, segment, length);
        if (node == NULL)
            return "there is not enough memory";
        pattern = segment + length;
        if (brace && length > 5 && memcmp(segment + length - 4, "...}", 4) == 0 && *pattern != '\0')
            return "{name...} stands at the end";
    }
    *ret_node = node;
    return *pattern == '\0' ? NULL : "a pattern begins with '/'";
}

static void free_route(struct coir__http_route *route)
{
    for (size_t i = 0; i < route->count; i++)
        coir_free(route->names[i]);
    if (route->files != NULL) {
        coir_file_close(route->files->directory);
        coir_free(route->files->path);
        coir_free(route->files);
    }
    coir__ws_route_free(route->ws);
    coir_free(route->method);
    coir_free(route);
}

static const char *add(struct coir__http_node *root, struct coir__http_route *route,
                       const char *method, const char *pattern)
{
    struct coir__http_node *node;
    if (method != NULL) {
        size_t size = strlen(method) + 1;
        if (!coir__http_is_token(method, size - 1))
            return "a method that is none";
        route->method = coir_alloc(size);
        if (route->method == NULL)
            return "there is not enough memory";
        memcpy(route->method, method, size);
    }
    const char *wrong = pattern[0] != '\0' ? NULL : "a pattern begins with '/'";
    if (strcmp(pattern, "*") == 0)
        node = root;
    else if (wrong == NULL)
        wrong = walk(root, pattern, route, &node);
    if (wrong != NULL)
        return wrong;
    struct coir__http_route **place = &node->routes;
    for (; *place != NULL; place = &(*place)->next)
        if (method == NULL ? (*place)->method == NULL
                           : (*place)->method != NULL && strcmp((*place)->method, method) == 0)
            return "it is there already";
    *place = route;
    return NULL;
}

static bool make_root(struct coir__http_node **root)
{
    if (*root == NULL)
        *root = make_node("", 0);
    return *root != NULL;
}

const char *coir__http_router_add(struct coir__http_node **root, const char *method,
                                  const char *pattern, coir_http_handler handler,
                                  struct coir__http_files *files, struct coir__ws_route *ws)
{
    struct coir__http_route *route = coir_calloc(1, sizeof *route);
    if (route == NULL || !make_root(root)) {
        coir_free(route);
        return "there is not enough memory";
    }
    route->handler = handler;
    const char *wrong = add(*root, route, method, pattern);
    if (wrong != NULL) {
        free_route(route);
        return wrong;
    }
    route->files = files;
    route->ws = ws;
    return NULL;
}

const char *coir__http_router_mount(struct coir__http_node **root, const char *prefix,
                                    coir_http_app *child)
{
    struct coir__http_node *node;
    if (!make_root(root))
        return "there is not enough memory";
    const char *wrong = walk(*root, prefix, NULL, &node);
    if (wrong == NULL && node->mounted != NULL)
        wrong = "it is there already";
    if (wrong == NULL)
        node->mounted = child;
    return wrong;
}

void coir__http_router_free(struct coir__http_node *node)
{
    if (node == NULL)
        return;
    for (struct coir__http_route *route = node->routes, *next; route != NULL; route = next) {
        next = route->next;
        free_route(route);
    }
    for (struct coir__http_node *child = node->first, *next; child != NULL; child = next) {
        next = child->next;
        coir__http_router_free(child);
    }
    coir__http_router_free(node->param);
    coir__http_router_free(node->rest);
    coir_free(node);
}

/* ---- finding ---- */

/* A way through the tree that is being tried. */
struct search {
    coir_http_request *request;
    const char *values[COIR__HTTP_PARAMS];
    size_t count;
    coir_buffer *allowed;                            /* NULL: nobody asks */
    struct coir__http_level lost[COIR__HTTP_LEVELS]; /* where the search came deepest in vain */
    size_t lost_depth;
};

static bool allow(coir_buffer *allowed, const char *method)
{
    if (coir__http_has_token(coir_buffer_text(allowed), method))
        return true;
    return (allowed->length == 0 || coir__http_put(allowed, ", ") == 0) &&
           coir__http_put(allowed, method) == 0 &&
           (strcmp(method, "GET") != 0 || allow(allowed, "HEAD"));
}

/* The route of a node for the method of the request; that for GET answers HEAD. */
static const struct coir__http_route *route_of(struct search *search,
                                               const struct coir__http_node *node)
{
    const char *method = search->request->head.method;
    const struct coir__http_route *any = NULL, *get = NULL;
    for (const struct coir__http_route *route = node->routes; route != NULL; route = route->next) {
        if (route->method == NULL)
            any = route;
        else if (coir__http_is_method(route->method, method))
            return route;
        else if (coir__http_is_method(route->method, "GET") && coir__http_is_method(method, "HEAD"))
            get = route;
        else if (search->allowed != NULL && !allow(search->allowed, route->method))
            return NULL;
    }
    return get != NULL ? get : any;
}

static const struct coir__http_route *found(struct search *search,
                                            const struct coir__http_route *route)
{
    if (route != NULL)
        memcpy(search->request->values, search->values, search->count * sizeof search->values[0]);
    return route;
}

static const struct coir__http_route *find(struct search *search,
                                           const struct coir__http_node *node, size_t at);

/* A path that ends where an application is mounted, or a directory is served, means what it would
 * with a slash behind it. A value that is NULL says so to files.c. */
static const struct coir__http_route *find_bare(struct search *search,
                                                const struct coir__http_node *node, bool mounted)
{
    const struct coir__http_route *route = NULL;
    for (const struct coir__http_node *child = node->first; child != NULL && mounted;
         child = child->next)
        if (child->segment[0] == '\0')
            route = route_of(search, child);
    if (route == NULL && node->rest != NULL) {
        route = route_of(search, node->rest);
        if (route != NULL && route->files == NULL && !mounted)
            return NULL;
        search->values[search->count] = route != NULL && route->files != NULL ? NULL : "";
        search->count += route != NULL;
    }
    return found(search, route);
}

/* Goes on in the application that is mounted at node. */
static const struct coir__http_route *find_mounted(struct search *search,
                                                   const struct coir__http_node *node, size_t at)
{
    coir_http_request *request = search->request;
    if (request->depth == COIR__HTTP_LEVELS || node->mounted->root == NULL)
        return NULL;
    request->levels[request->depth++] = (struct coir__http_level){node->mounted, at};
    const struct coir__http_node *root = node->mounted->root;
    const struct coir__http_route *route =
        at < request->count ? find(search, root, at) : find_bare(search, root, true);
    if (route != NULL)
        return route;
    if (request->depth > search->lost_depth) {
        search->lost_depth = request->depth;
        memcpy(search->lost, request->levels, sizeof search->lost);
    }
    request->depth--;
    return NULL;
}

static const struct coir__http_route *find_child(struct search *search,
                                                 const struct coir__http_node *node, size_t at)
{
    const char *segment = search->request->segments[at];
    for (const struct coir__http_node *child = node->first; child != NULL; child = child->next)
        if (child->segment[0] == segment[0] && strcmp(child->segment, segment) == 0)
            return find(search, child, at + 1);
    return NULL;
}

static const struct coir__http_route *find_param(struct search *search,
                                                 const struct coir__http_node *node, size_t at)
{
    if (node == NULL || search->request->segments[at][0] == '\0')
        return NULL;
    search->values[search->count++] = search->request->segments[at];
    const struct coir__http_route *route = find(search, node, at + 1);
    if (route == NULL)
        search->count--;
    return route;
}

/* All that is left, with its slashes, as one value. A segment with a slash of its own would look
 * like two in it. */
static const struct coir__http_route *find_rest(struct search *search,
                                                const struct coir__http_node *node, size_t at)
{
    coir_http_request *request = search->request;
    const struct coir__http_route *route = node != NULL ? route_of(search, node) : NULL;
    if (route == NULL)
        return NULL;
    const char *begin = at < request->count ? request->segments[at] : "";
    size_t length = 0;
    for (size_t i = at; i < request->count; i++) {
        if (strchr(request->segments[i], '/') != NULL)
            return NULL;
        length += strlen(request->segments[i]) + (i > at);
    }
    char *rest = coir__http_request_keep(request, begin, length);
    if (rest == NULL)
        return NULL;
    for (size_t i = 0; i < length; i++)
        if (rest[i] == '\0')
            rest[i] = '/';
    search->values[search->count++] = rest;
    return found(search, route);
}

static const struct coir__http_route *find(struct search *search,
                                           const struct coir__http_node *node, size_t at)
{
    const struct coir__http_route *route = NULL;
    if (at == search->request->count) {
        route = found(search, route_of(search, node));
        if (route == NULL && node->mounted != NULL && at > 0)
            route = find_mounted(search, node, at);
        return route != NULL || at == 0 ? route : find_bare(search, node, false);
    }
    route = find_child(search, node, at);
    if (route == NULL)
        route = find_param(search, node->param, at);
    if (route == NULL && node->mounted != NULL)
        route = find_mounted(search, node, at);
    return route != NULL ? route : find_rest(search, node->rest, at);
}

const struct coir__http_route *coir__http_router_find(coir_http_request *request,
                                                      const struct coir__http_node *root,
                                                      coir_buffer *ret_allowed)
{
    struct search search; /* its arrays are large, and not read before they are written */
    search.request = request;
    search.count = search.lost_depth = 0;
    search.allowed = ret_allowed;
    const struct coir__http_route *route = root != NULL ? find(&search, root, 0) : NULL;
    if (route == NULL && search.lost_depth > 0) {
        request->depth = search.lost_depth;
        memcpy(request->levels, search.lost, sizeof search.lost);
    }
    return route;
}

/* zone.c - a parent's as_of in its time zone. */
#include "parent/plan/inside.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define ZONES "/usr/share/zoneinfo"

bool zone_exists(const char *zone)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
    if (strcmp(zone, "UTC") == 0)
        return true;
    if (!*zone || *zone == '/' || strspn(zone, letters) != strlen(zone) ||
        zone[strlen(zone) - 1] == '/')
        return false;
    /* Checks the content: a folder of zones or a list of leap seconds would silently mean UTC. */
    char *path = mem_printf("%s/%s", ZONES, zone), magic[4] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool there = fd >= 0 && read(fd, magic, sizeof magic) == sizeof magic &&
                 memcmp(magic, "TZif", sizeof magic) == 0;
    if (fd >= 0)
        close(fd);
    mem_free(&path);
    return there;
}

char *zone_format(const char *zone, int64_t wall_ms)
{
    const char *was = getenv("TZ");
    char *kept = was ? mem_strdup(was) : NULL, text[40];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    setenv("TZ", zone, 1);
    tzset();
    localtime_r(&seconds, &tm);
    kept ? setenv("TZ", kept, 1) : unsetenv("TZ");
    tzset();
    mem_free(&kept);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    long minutes = tm.tm_gmtoff / 60;
    if (minutes == 0)
        return mem_printf("%s.%03dZ", text, (int)(wall_ms % 1000));
    return mem_printf("%s.%03d%c%02ld:%02ld", text, (int)(wall_ms % 1000), minutes < 0 ? '-' : '+',
                      labs(minutes) / 60, labs(minutes) % 60);
}

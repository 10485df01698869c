using System.Diagnostics.Metrics;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Hosting;

/// <summary>
/// Writes each request down when it has been answered: one line, and for a refusal one count. Every answer of both hosts passes here, and the types
/// that answers of refusals are made of carry their reason, so none can be forgotten. Lines have the route's template, never the path or the query.
/// </summary>
internal sealed partial class RequestLog : SteadyService
{
    /// <summary>Probes come every few seconds from everywhere; one in so many leaves a line.</summary>
    public const int ProbesPerLine = 100;

    private static readonly HashSet<string> Probes = new(StringComparer.OrdinalIgnoreCase)
    {
        "/health", "/healthz", "/ready", "/__selftest", "/__selftest/simple",
    };

    private readonly Occasions occasions;
    private readonly TimeProvider clock;
    private readonly ILogger<RequestLog> logger;
    private readonly RefusalTally tally;
    private readonly RecentRequests? recent;
    private readonly LogLevel level;
    private readonly RefusalLines lines;
    private readonly Counter<long> oauth;
    private readonly Counter<long> gateway;
    private readonly Counter<long> webhooks;
    private readonly Counter<long> others;
    private int probes;

    public RequestLog(
        Occasions occasions, RefusalTally tally, IHostEnvironment environment, TimeProvider clock, ILogger<RequestLog> logger, RecentRequests? recent = null)
        : base(logger)
    {
        (this.occasions, this.tally, this.clock, this.logger, this.recent) = (occasions, tally, clock, logger, recent);
        level = environment.IsProduction() ? LogLevel.Information : LogLevel.Debug;
        lines = new RefusalLines(clock);
        oauth = Counter("gpt.oauth.refusals", "Refusals of the authorization server by route and reason");
        gateway = Counter("gpt.gateway.refusals", "Refusals of the gateway by route and reason");
        webhooks = Counter("gpt.webhooks.refusals", "Refused deliveries by route and reason");
        others = Counter("gpt.http.refusals", "Refusals of other routes by route and reason");
    }

    public Meter Meter { get; } = new("GptFunctions.Refusals");

    public override void Dispose()
    {
        Meter.Dispose();
        base.Dispose();
    }

    /// <summary>The template of a request's route, as the function says it; null when there is none.</summary>
    public static string? RouteOf(HttpContext context) => (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText switch
    {
        null => null,
        ['/', ..] template => template,
        var template => "/" + template, // the Functions host's
    };

    /// <summary>Gives each line that is written meanwhile the request's correlation id.</summary>
    public IDisposable? BeginScope(HttpContext context) =>
        logger.BeginScope(new KeyValuePair<string, object?>[] { new("CorrelationId", context.CorrelationId()) });

    /// <param name="started">The timestamp at which the request came.</param>
    public void Completed(HttpContext context, long started)
    {
        var notes = RequestNotes.Of(context);
        var status = context.Response.StatusCode;
        var route = RouteOf(context);
        var refusal = notes.Refusal ?? Unexplained(notes, status, route);
        if (recent is not null && !IsHealthyProbe(route, status))
        {
            recent.Add(new RecentRequest(
                clock.GetUtcNow(), context.Request.Method, route, notes.Action, status, clock.GetElapsedTime(started).TotalMilliseconds,
                refusal?.Reason.Text() ?? notes.Outcome ?? "ok", context.CorrelationId()));
        }

        if (refusal is { } why)
        {
            var reason = why.Reason.Text();
            CounterOf(route).Add(1, new("route", route ?? "none"), new("reason", reason));
            tally.Note(context, why, route, occasions.Of(context));
            if (!notes.IsLogged)
            {
                Write(context, notes, why, route, clock.GetElapsedTime(started).TotalMilliseconds);
                return;
            }
        }

        if (logger.IsEnabled(level) && (!IsHealthyProbe(route, status) || Interlocked.Increment(ref probes) % ProbesPerLine == 1))
        {
            var outcome = refusal?.Reason.Text() ?? notes.Outcome ?? (context.RequestAborted.IsCancellationRequested ? "hung_up" : "ok");
            var (method, took, correlationId) = (context.Request.Method, clock.GetElapsedTime(started), context.CorrelationId());
            LogAnswered(level, method, route, notes.Action, status, took.TotalMilliseconds, outcome, correlationId);
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        TellLeftOut(lines.End());
    }

    /// <summary>Says what was left out also when the flood is over.</summary>
    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        await Task.Delay(RefusalLines.Window, clock, stoppingToken);
        TellLeftOut(lines.EndIfOver());
        return true;
    }

    private static bool IsHealthyProbe(string? route, int status) => route is not null && status < 400 && Probes.Contains(route);

    private static Refusal? Unexplained(RequestNotes notes, int status, string? route) => status < 400 || notes.Action is not null ? null
        : route is null ? new Refusal(RefusalReason.NotFound)
        : Probes.Contains(route) ? null // a probe's 503 is its answer
        : new Refusal(RefusalReason.Other);

    private void Write(HttpContext context, RequestNotes notes, Refusal why, string? route, double milliseconds)
    {
        var reason = why.Reason.Text();
        TellLeftOut(lines.EndIfOver());
        if (lines.TryTake(route, reason, occasions.Of(context).Network))
        {
            LogRefused(
                context.Request.Method, route, notes.Action, context.Response.StatusCode, milliseconds, reason, why.ClientId, why.SessionId?.ToString(),
                context.CorrelationId());
        }
    }

    private void TellLeftOut(IEnumerable<RefusalLines.LeftOut> groups)
    {
        foreach (var group in groups)
        {
            LogLeftOut(group.Count, group.Route, group.Reason);
        }
    }

    private Counter<long> Counter(string name, string description) => Meter.CreateCounter<long>(name, "{request}", description);

    private Counter<long> CounterOf(string? route) => route switch
    {
        null => others,
        _ when route.StartsWith("/oauth", StringComparison.Ordinal) => oauth,
        _ when route.StartsWith("/gpt", StringComparison.Ordinal) => gateway,
        _ when route.Contains("webhook", StringComparison.Ordinal) => webhooks,
        _ => others,
    };

    [LoggerMessage(
        EventId = 1050, Message = "{Method} {Route} {Action} answered {Status} in {Milliseconds:0.0} ms: {Outcome} (correlation id {CorrelationId})")]
    private partial void LogAnswered(
        LogLevel level, string method, string? route, string? action, int status, double milliseconds, string outcome, string correlationId);

    [LoggerMessage(
        1051, LogLevel.Information,
        "{Method} {Route} {Action} refused with {Status} in {Milliseconds:0.0} ms: {Reason} "
        + "(client {ClientId}, session {SessionId}, correlation id {CorrelationId})")]
    private partial void LogRefused(
        string method, string? route, string? action, int status, double milliseconds, string reason, string? clientId, string? sessionId,
        string correlationId);

    [LoggerMessage(1052, LogLevel.Warning, "{Count} more refusals of {Route} for {Reason} came within a minute, and were counted without a line each")]
    private partial void LogLeftOut(long count, string? route, string reason);
}

/// <summary>
/// How many refusals have a line of their own in the log: enough to see each kind and each caller, and not as many as somebody likes to send. The others
/// of a minute are told as one number for each route and reason, and the meters count all.
/// </summary>
internal sealed class RefusalLines(TimeProvider clock)
{
    /// <summary>In a minute: of one reason on one route from one network.</summary>
    public const int OfOneKind = 120;

    /// <summary>In a minute: of all kinds together.</summary>
    public const int OfAll = 1_200;

    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly Lock turn = new();
    private readonly Dictionary<Kind, int> written = [];
    private readonly Dictionary<(string? Route, string Reason), long> leftOut = [];
    private long began = clock.GetTimestamp();
    private int total;

    /// <summary>What was counted without a line.</summary>
    internal sealed record LeftOut(string? Route, string Reason, long Count);

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Kind(string? Route, string Reason, string Network);

    /// <summary>Whether this one gets a line. Beyond <see cref="OfAll"/> nothing more is remembered, so the memory has a limit, too.</summary>
    public bool TryTake(string? route, string reason, string network)
    {
        lock (turn)
        {
            var kind = new Kind(route, reason, network);
            var count = written.GetValueOrDefault(kind);
            if (total < OfAll && count < OfOneKind)
            {
                written[kind] = count + 1;
                total++;
                return true;
            }

            leftOut[(route, reason)] = leftOut.GetValueOrDefault((route, reason)) + 1;
            return false;
        }
    }

    /// <summary>What was left out in a minute that is over; empty while it runs.</summary>
    public IReadOnlyList<LeftOut> EndIfOver() => clock.GetElapsedTime(Volatile.Read(ref began)) < Window ? [] : End();

    /// <summary>Begins a new minute, and tells what was left out in the one before.</summary>
    public IReadOnlyList<LeftOut> End()
    {
        lock (turn)
        {
            LeftOut[] groups = [.. leftOut.Select(group => new LeftOut(group.Key.Route, group.Key.Reason, group.Value))];
            began = clock.GetTimestamp();
            written.Clear();
            leftOut.Clear();
            total = 0;
            return groups;
        }
    }
}

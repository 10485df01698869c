using System.Diagnostics;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using GptFunctions.Hosting;
using GptFunctions.Plans;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace GptFunctions.Gateway;

/// <summary>What became of a forwarded request: the status that the caller saw, or a refusal that is still to be written.</summary>
internal readonly record struct Forwarded(int Status, GatewayRefusal? Refusal)
{
    /// <summary>As web servers' logs call it: the caller hung up.</summary>
    public const int HungUp = 499;

    /// <summary>Half of the upstream's answer is out, and no more will come.</summary>
    public bool IsBrokenOff { get; init; }

    /// <summary>In the log and the meters.</summary>
    public string Outcome => Refusal is { } refusal ? refusal.Why.Reason.Text() : Status switch
    {
        HungUp => "hung_up",
        _ when IsBrokenOff => "broken_off",
        >= StatusCodes.Status500InternalServerError => "upstream_failed",
        >= StatusCodes.Status400BadRequest => "upstream_refused",
        _ => "ok",
    };

    public static implicit operator Forwarded(GatewayRefusal refusal) => new(refusal.Status, refusal);
}

/// <summary>Sends an admitted request to its upstream and the answer back, piece by piece.</summary>
internal sealed partial class Forwarder(
    Assertions assertions, UpstreamKeys keys, PublicLocation locations, UsageService usage, GatewayMetrics metrics,
    IOptions<TokenSettings> settings, IOptions<GatewaySettings> gateway, IOptions<KestrelServerOptions> server, ILogger<Forwarder> logger) : IDisposable
{
    /// <summary>What an answer that has to be held in memory may have at most where its route has no cap.</summary>
    public const int UncappedCharacters = 10_000_000;

    private readonly HttpMessageInvoker http = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        ActivityHeadersPropagator = null, // traceparent is set below
        ConnectTimeout = TimeSpan.FromSeconds(5),
        MaxResponseDrainSize = 0, // what we do not want to hand on, we do not read
        PooledConnectionLifetime = TimeSpan.FromMinutes(2), // follows changes in DNS
        RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8, // as the server read them
        ResponseHeaderEncodingSelector = static (_, _) => Encoding.Latin1, // octet by octet
        PlaintextStreamFilter = static (connection, _) =>
            ValueTask.FromResult(
                connection.NegotiatedHttpVersion.Major == 1 ? new UpstreamConnection(connection.PlaintextStream) : connection.PlaintextStream),
    });

    private readonly CallLimits limits = new();
    private readonly Uri publicBase = new(settings.Value.PublicBaseUrl!);
    private readonly string publicHost = new Uri(settings.Value.PublicBaseUrl!).Authority; // worked out each time that a Uri is asked
    private readonly bool passesObsoleteText = server.Value.ResponseHeaderEncodingSelector("") is not null; // the Functions host would refuse it

    /// <summary>Forwards; of a call that came to nothing the unit of the month's quota is given back.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))] // nobody keeps the task, so its memory serves the next call
    public async ValueTask<Forwarded> ForwardAsync(HttpContext context, Admission admission)
    {
        var route = admission.Route;
        using var span = UpstreamSpan.Start(context.Request.Method, route);
        using var call = limits.Begin(context.RequestAborted);
        var limit = call.Limit;
        limit.CancelAfter(route.Timeout);
        using var request = ToUpstream(context, admission, limit);
        var upload = request.Content as UploadContent;
        Forwarded forwarded;
        try
        {
            using var response = await http.SendAsync(request, limit.Token);
            upload?.LeaveTime();
            forwarded = await RelayAsync(context, admission, response, limit);
        }
        catch (Exception error) when (error is OperationCanceledException or HttpRequestException or IOException)
        {
            forwarded = Explain(context, route, error, upload, limit.IsCancellationRequested, context.RequestAborted.IsCancellationRequested);
        }
        finally
        {
            await (upload?.EndAsync() ?? Task.CompletedTask);
        }

        UpstreamSpan.End(span, forwarded.Status);
        if (admission.Unit is { } unit && forwarded.Status >= StatusCodes.Status400BadRequest && !context.Response.HasStarted)
        {
            await usage.GiveBackAsync(unit);
        }

        return forwarded;
    }

    public void Dispose() => http.Dispose();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Forwarded> RelayAsync(HttpContext context, Admission admission, HttpResponseMessage response, CancellationTokenSource limit)
    {
        var route = admission.Route;
        var head = new AnswerHead(response, locations, passesObsoleteText);
        if (head.Status is StatusCodes.Status401Unauthorized or StatusCodes.Status407ProxyAuthenticationRequired)
        {
            LogUnauthorized(route.Upstream.Authority, route.Name, head.Status, publicBase, route.Audience, context.CorrelationId());
            return GatewayRefusal.UpstreamUnauthorized;
        }

        if (head.Fault is { } fault)
        {
            LogFailed(route.Name, context.CorrelationId(), fault);
            return GatewayRefusal.InvalidAnswer;
        }

        if (admission.Unit is { } unit && head.Status >= StatusCodes.Status400BadRequest)
        {
            await usage.GiveBackAsync(unit); // before anybody sees the answer, and looks what is left
        }

        return await new ResponseRelay(context, route, response, head, limit).RelayAsync();
    }

    private Forwarded Explain(HttpContext context, GatewayRoute route, Exception error, UploadContent? upload, bool isOver, bool hasHungUp)
    {
        if (hasHungUp)
        {
            return new Forwarded(Forwarded.HungUp, null);
        }

        if (context.Response.HasStarted)
        {
            // Half an answer is out. Ended properly, it would pass for the whole.
            LogBrokenOff(route.Name, context.CorrelationId(), error.Message);
            context.Abort();
            return new Forwarded(StatusCodes.Status502BadGateway, null) { IsBrokenOff = true };
        }

        if (error is AnswerTooLongException)
        {
            return GatewayRefusal.TooLarge(route.MaximumCharacters ?? UncappedCharacters); // whoever holds the answer back can still be told
        }

        if (upload?.Refusal is { } refusal)
        {
            return refusal; // the caller's body could not be read
        }

        var isLate = error is OperationCanceledException && isOver;
        LogFailed(route.Name, context.CorrelationId(), isLate ? "time-out" : (error.InnerException ?? error).Message);
        return isLate ? GatewayRefusal.TooSlow(route.Timeout)
            : error is HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded }
            ? GatewayRefusal.InvalidAnswer
            : GatewayRefusal.Unreachable;
    }

    private HttpRequestMessage ToUpstream(HttpContext context, Admission admission, CancellationTokenSource limit)
    {
        var source = context.Request;
        var route = admission.Route;
        var request = new HttpRequestMessage(HttpMethod.Parse(source.Method), route.Target(admission.Values, source.QueryString.Value ?? ""))
        {
            Version = HttpVersion.Version20, // over TLS; 1.1 without
            VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        if (source.ContentLength is not null || context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody != false)
        {
            request.Content = new UploadContent(source, route, TimeSpan.FromSeconds(gateway.Value.UploadTimeoutSeconds), limit);
        }

        CopyHeaders(context, route, request);
        AddOurs(context, admission, request);
        return request;
    }

    private void CopyHeaders(HttpContext context, GatewayRoute route, HttpRequestMessage request)
    {
        List<string>? identity = null;
        var isCapped = route.MaximumCharacters is not null;
        var named = context.Request.Headers.GetCommaSeparatedValues("Connection"); // RFC 9110 7.6.1: for this connection only
        foreach (var (name, values) in context.Request.Headers)
        {
            var rule = HeaderRules.OfRequest(name, route.PassHeaders);
            if (rule == HeaderRule.Identity)
            {
                (identity ??= []).Add(name);
            }
            else if (rule == HeaderRule.Pass && !route.Sets(name) && !named.Contains(name, StringComparer.OrdinalIgnoreCase)
                && !(isCapped && name.Equals("Accept-Encoding", StringComparison.OrdinalIgnoreCase)))
            {
                Add(name, values);
            }
        }

        if (isCapped)
        {
            Add("Accept-Encoding", "identity"); // characters are counted; without the header any encoding would do (RFC 9110 12.5.3)
        }

        if (identity is not null)
        {
            metrics.Removed(identity.Count);
            LogIdentityHeaders(string.Join(", ", identity), context.CorrelationId());
        }

        void Add(string name, StringValues values)
        {
            foreach (var value in values)
            {
                var visible = Visible(value ?? "");
                if (!request.Headers.TryAddWithoutValidation(name, visible))
                {
                    request.Content?.Headers.TryAddWithoutValidation(name, visible);
                }
            }
        }
    }

    private void AddOurs(HttpContext context, Admission admission, HttpRequestMessage request)
    {
        var (caller, user) = (admission.Caller, admission.User);
        Add("x-internal-id", user.IdText);
        Add("x-clerk-user-id", caller.Subject);
        Add("x-gpt-client-id", caller.ClientId);
        Add("x-gpt-scopes", caller.Scope ?? admission.Route.Scope);
        Add("x-gpt-plan", user.Plan);
        Add("x-gpt-plan-status", user.PlanStatus);
        Add("x-gpt-assertion", assertions.For(caller, user, admission.Route.Audience));
        Add(Correlation.Header, admission.Occasion.CorrelationId);
        var (parent, state) = Trace(context);
        Add("traceparent", parent);
        Add("tracestate", state is "" ? null : state);
        Add("x-forwarded-for", admission.Occasion.Address);
        Add("x-forwarded-proto", publicBase.Scheme);
        Add("x-forwarded-host", publicHost);
        foreach (var (name, value) in keys.Of(admission.Route))
        {
            Add(name, value);
        }

        void Add(string name, string? value)
        {
            if (value is not null)
            {
                request.Headers.TryAddWithoutValidation(name, Visible(value));
            }
        }
    }

    /// <summary>
    /// The trace that this request belongs to: ours when it is traced, else the caller's, else a new one; and what the caller's tracing system wants to
    /// have along with it, which means nothing without (W3C Trace Context 3.3).
    /// </summary>
    private static (string Parent, string? State) Trace(HttpContext context)
    {
        if (Activity.Current is { } span)
        {
            return (span.Id!, span.TraceStateString);
        }

        var headers = context.Request.Headers;
        return ActivityContext.TryParse(headers.TraceParent, headers.TraceState, out _)
            ? (headers.TraceParent.ToString(), headers.TraceState.ToString())
            : (NewTrace(context.CorrelationId()), null);
    }

    /// <summary>A trace that nobody records: named as the correlation id where that will do, so that whoever has the one finds the other.</summary>
    private static string NewTrace(string correlationId)
    {
        var traceId = Correlation.IsTraceId(correlationId) ? correlationId : ActivityTraceId.CreateRandom().ToHexString();
        return $"00-{traceId}-{ActivitySpanId.CreateRandom().ToHexString()}-00";
    }

    /// <summary>A value that cannot end its header, whatever is in the database.</summary>
    private static string Visible(string value) => value.AsSpan().ContainsAnyInRange('\0', '\x1f') || value.Contains('\x7f', StringComparison.Ordinal)
        ? string.Concat(value.Select(character => char.IsControl(character) && character != '\t' ? '?' : character))
        : value;

    [LoggerMessage(6020, LogLevel.Warning, "Identity headers of a caller were removed: {Names} (correlation id {CorrelationId})")]
    private partial void LogIdentityHeaders(string names, string correlationId);

    [LoggerMessage(6021, LogLevel.Warning, "The upstream of {Route} failed (correlation id {CorrelationId}): {Reason}")]
    private partial void LogFailed(string route, string correlationId, string reason);

    [LoggerMessage(6023, LogLevel.Warning,
        "The upstream {Upstream} of {Route} answered {Status}: it refuses this gateway, not the user. "
        + "Its check of x-gpt-assertion (keys {Issuer}.well-known/jwks.json, aud {Audience}) or its own key is wrong (correlation id {CorrelationId})")]
    private partial void LogUnauthorized(string upstream, string route, int status, Uri issuer, string audience, string correlationId);

    [LoggerMessage(6022, LogLevel.Warning, "An answer of the upstream of {Route} was broken off (correlation id {CorrelationId}): {Reason}")]
    private partial void LogBrokenOff(string route, string correlationId, string reason);
}

using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace GptFunctions.Hosting;

/// <summary>How a feature writes failures on its paths, for example as OAuth JSON or as a page. The longest matching prefix wins.</summary>
internal sealed record ErrorFormat(string PathPrefix, Func<HttpContext, Failure, IResult> Write);

/// <summary>What an exception becomes on the wire: 500 for a bug, 503 with Retry-After for an outage, 4xx for a request that Kestrel refused.</summary>
internal sealed record Failure(int Status, string Title, string Detail)
{
    public static Failure Outage { get; } = new(
        StatusCodes.Status503ServiceUnavailable, "Temporarily unavailable",
        "Something that this service depends on does not answer right now. Nothing was changed; try again shortly.");

    public static Failure Bug { get; } = new(
        StatusCodes.Status500InternalServerError, "Internal error", "Something went wrong on our side. Quote the correlation id when you report it.");
}

/// <summary>Turns an exception that left a function into an answer. Shared by both hosts; the Functions host alone would send an empty 500.</summary>
internal sealed partial class ErrorMapper(IEnumerable<ErrorFormat> formats, ILogger<ErrorMapper> logger)
{
    private const int RetryAfterSeconds = 2;
    private readonly ErrorFormat[] formats = [.. formats.OrderByDescending(format => format.PathPrefix.Length)];

    public static ErrorMapper From(HttpContext context) => context.RequestServices.GetRequiredService<ErrorMapper>();

    /// <summary>The answer for an exception; logs it once.</summary>
    public IResult ToResult(HttpContext context, Exception error)
    {
        var (failure, reason) = Classify(error);
        RequestNotes.Of(context).Fail(reason, isLogged: failure == Failure.Bug || failure == Failure.Outage);
        if (failure == Failure.Bug)
        {
            LogBug(context.Request.Method, RequestLog.RouteOf(context), context.CorrelationId(), error);
        }
        else if (failure == Failure.Outage)
        {
            LogOutage(context.Request.Method, RequestLog.RouteOf(context), context.CorrelationId(), error.GetType().Name, error.Message);
            context.Response.Headers.RetryAfter = RetryAfterSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        return Write(context, failure);
    }

    /// <summary>Writes a failure in the format of the path that was asked for.</summary>
    public IResult Write(HttpContext context, Failure failure)
    {
        context.Response.Headers.CacheControl = "no-store";
        var format = Array.Find(formats, format => context.Request.Path.StartsWithSegments(format.PathPrefix, StringComparison.OrdinalIgnoreCase));
        return format?.Write(context, failure) ?? Problem.Result(context, failure.Status, failure.Title, failure.Detail);
    }

    private static (Failure Failure, RefusalReason Reason) Classify(Exception error) => error switch
    {
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => (
            new Failure(StatusCodes.Status413PayloadTooLarge, "Bad request", "The request body is too large."), RefusalReason.TooLarge),
        BadHttpRequestException bad => (
            new Failure(bad.StatusCode, "Bad request", "The request could not be read: " + bad.Message), RefusalReason.InvalidRequest),
        IOException { InnerException: OverflowException } => (
            new Failure(
                StatusCodes.Status400BadRequest, "Bad request", "The request could not be read: a chunk's size is no number that there can be."),
            RefusalReason.InvalidRequest),
        _ when IsOutage(error) => (Failure.Outage, RefusalReason.Outage),
        _ => (Failure.Bug, RefusalReason.Bug),
    };

    /// <summary>
    /// Whether an exception says no more than that the caller hung up: nobody reads an answer, and nothing of ours failed. The token is the
    /// one that the hang-up cancels; then a request can be neither read nor written, and in the Functions host no longer be used at all.
    /// </summary>
    public static bool IsHangUp(Exception error, CancellationToken hungUp) =>
        error is ConnectionResetException
            || (hungUp.IsCancellationRequested && error is (OperationCanceledException or IOException or ObjectDisposedException));

    /// <summary>Trouble with a server we depend on, as opposed to a bug: the same request can succeed later.</summary>
    public static bool IsOutage(Exception error) => error switch
    {
        // Class 08 is the connection (poolers say 08P01 for what they lack), 57 an operator at work: shutting down, starting up, cancelling.
        PostgresException postgres => postgres.IsTransient || postgres.SqlState is ['0', '8', ..] or ['5', '7', ..]
            || postgres.SqlState is PostgresErrorCodes.ReadOnlySqlTransaction
            // A password is being changed, a database restored.
            or PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification or PostgresErrorCodes.InvalidCatalogName,
        NpgsqlException npgsql => npgsql.IsTransient || npgsql.InnerException is TimeoutException or IOException or SocketException or EndOfStreamException
            || npgsql.InnerException is null,
        ServiceOutageException or TimeoutException => true,
        _ => false,
    };

    [LoggerMessage(1001, LogLevel.Error, "{Method} {Route} failed (correlation id {CorrelationId})")]
    private partial void LogBug(string method, string? route, string correlationId, Exception error);

    [LoggerMessage(1002, LogLevel.Warning, "{Method} {Route} answered 503 (correlation id {CorrelationId}): {ErrorType}: {ErrorMessage}")]
    private partial void LogOutage(string method, string? route, string correlationId, string errorType, string errorMessage);
}

/// <summary>A server that we depend on, other than the database, does not answer or answers nonsense: 503, nothing was changed.</summary>
internal sealed class ServiceOutageException(string message, Exception? inner = null) : Exception(message, inner);

using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Operations.Pages;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Operations;

/// <summary>The audit trail: who did what, when; and its export.</summary>
internal sealed class AuditPageFunctions(OperatorAccess access, AuditSearchService audit)
{
    private const string Export = "audit/export";

    [Function("OperationsAudit")]
    public Task<IResult> ShowAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "operations/audit")] HttpRequest request) =>
        access.ShowAsync(request, async visit =>
        {
            if (Read(visit.Filter, visit.Occasion.Now) is not { } filter)
            {
                return TimeProblem(visit);
            }

            if (visit.Filter("confirm") is "export")
            {
                return Page(visit, null);
            }

            var rows = await audit.SearchAsync(filter, AuditPlace.Parse(visit.Filter("after")), ListPage<AuditLine>.Size + 1);
            return Page(visit, ListPage<AuditLine>.Of([.. rows.Select(AuditLine.Of)], row => row.Place));
        });

    /// <summary>Streamed: it may be everything there is.</summary>
    [Function("OperationsAuditExport")]
    public Task<IResult> ExportAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/audit/export")] HttpRequest request) =>
        access.ActAsync(request, Export, isReasonRequired: false, (visit, act, form) =>
        {
            if (Read(name => form[name], visit.Occasion.Now) is not { } filter || form["format"] is not ("csv" or "jsonl"))
            {
                return Task.FromResult(TimeProblem(visit));
            }

            var (format, type) = form["format"] is "csv" ? (AuditFormat.Csv, "text/csv; charset=utf-8") : (AuditFormat.Jsonl, "application/jsonl");
            request.HttpContext.Response.Headers.CacheControl = "no-store";
            return Task.FromResult(Results.Stream(
                stream => audit.ExportAsync(filter, format, stream, act, visit.Occasion, request.HttpContext.RequestAborted),
                type, $"audit-{visit.Occasion.Now:yyyyMMdd-HHmmss}.{form["format"]}"));
        });

    /// <summary>Null when a time is none.</summary>
    private static AuditFilter? Read(Func<string, string?> value, DateTimeOffset now)
    {
        var (since, until) = (value("since"), value("until"));
        var filter = new AuditFilter
        {
            Subject = value("user"),
            ClientId = value("app"),
            SessionId = value("session"),
            Type = value("type"),
            CorrelationId = value("correlation"),
            Since = since is null ? null : TimeText.Parse(since, now),
            Until = until is null ? null : TimeText.Parse(until, now),
        };
        return (since is null) == (filter.Since is null) && (until is null) == (filter.Until is null) ? filter : null;
    }

    private static IResult TimeProblem(OperatorVisit visit) => visit.Problem(
        StatusCodes.Status400BadRequest, "This is no time", "From and Until are a time such as 2026-01-31 12:00 (UTC), or how long ago: 30m, 24h, 7d.");

    private static IResult Page(OperatorVisit visit, ListPage<AuditLine>? rows) => visit.Page<AuditPage>(new() { [nameof(AuditPage.List)] = rows });
}

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
        access.ShowAsync(request, ShowAsync);

    /// <summary>Streamed: it may be everything there is.</summary>
    [Function("OperationsAuditExport")]
    public Task<IResult> ExportAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/audit/export")] HttpRequest request) =>
        access.ActAsync(request, Export, isReasonRequired: false, ShowAsync, (visit, act, form) =>
        {
            if (form["format"] is not ("csv" or "jsonl"))
            {
                return visit.AskAgainAsync(form, "format", "The format must be csv or jsonl.", ShowAsync);
            }

            if (TimeProblem(visit, name => form[name]) is { } problem)
            {
                return Task.FromResult(problem);
            }

            var filter = Read(name => form[name], visit.Occasion.Now);
            var (format, type) = form["format"] is "csv" ? (AuditFormat.Csv, "text/csv; charset=utf-8") : (AuditFormat.Jsonl, "application/jsonl");
            request.HttpContext.Response.Headers.CacheControl = "no-store";
            return Task.FromResult(Results.Stream(
                stream => audit.ExportAsync(filter, format, stream, act, visit.Occasion, request.HttpContext.RequestAborted),
                type, $"audit-{visit.Occasion.Now:yyyyMMdd-HHmmss}.{form["format"]}"));
        });

    private async Task<IResult> ShowAsync(OperatorVisit visit)
    {
        if (TimeProblem(visit, visit.Filter) is { } problem)
        {
            return problem;
        }

        if (visit.Filter("confirm") is "export")
        {
            return Page(visit, null);
        }

        var rows = await audit.SearchAsync(Read(visit.Filter, visit.Occasion.Now), AuditPlace.Parse(visit.Filter("after")), ListPage<AuditLine>.Size + 1);
        return Page(visit, ListPage<AuditLine>.Of([.. rows.Select(AuditLine.Of)], row => row.Place));
    }

    private static AuditFilter Read(Func<string, string?> value, DateTimeOffset now) => new()
    {
        Subject = value("user"),
        ClientId = value("app"),
        SessionId = value("session"),
        Type = value("type"),
        CorrelationId = value("correlation"),
        Since = TimeFilter.Read(value("since"), now),
        Until = TimeFilter.Read(value("until"), now),
    };

    private static IResult? TimeProblem(OperatorVisit visit, Func<string, string?> value) => TimeFilter.ProblemWith(value, visit.Occasion.Now) is { } problem
        ? visit.Problem(StatusCodes.Status400BadRequest, "This filter means nothing", problem)
        : null;

    private static IResult Page(OperatorVisit visit, ListPage<AuditLine>? rows) => visit.Page<AuditPage>(new() { [nameof(AuditPage.List)] = rows });
}

using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth;
using GptFunctions.Operations.Pages;
using GptFunctions.Pages;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Operations;

/// <summary>Somebody who may be here, and what was asked for: every page of operations is shown to one.</summary>
public sealed class OperatorVisit
{
    private readonly PageSession session;

    internal OperatorVisit(HttpRequest request, PageSession session, bool mayAct, Occasion occasion) =>
        (Request, this.session, MayAct, Occasion, Query) = (request, session, mayAct, occasion, FormParameters.OfQuery(request).Value);

    public HttpRequest Request { get; }

    /// <summary>Whether they may act, too.</summary>
    public bool MayAct { get; }

    internal Person Person => session.Person;

    internal Occasion Occasion { get; }

    /// <summary>The filters of the page, as the link says them; null when it cannot be read.</summary>
    internal FormParameters? Query { get; }

    /// <summary>What the last action of this session did; nobody else can put words here.</summary>
    public string? Notice => Filter("notice") is { } text && session.IsCsrf(Filter("seal"), NoticePurpose(text)) ? text : null;

    /// <summary>For the form that ends this session.</summary>
    public string SignOutCsrf => session.Csrf(PageSessions.SignOutPurpose);

    public string? Filter(string name) => Query?[name];

    /// <summary>The URL of a list as it is filtered now, with further parameters.</summary>
    internal string Link(string path, IEnumerable<FilterField> fields, params IEnumerable<(string Name, string? Value)> further) =>
        UrlQuery.Add(path, [.. fields.Select(field => (field.Name, Filter(field.Name))), .. further]);

    /// <summary>For the form of an action.</summary>
    public string Csrf(string action) => session.Csrf("operations/" + action);

    internal bool IsCsrf(string? text, string action) => session.IsCsrf(text, "operations/" + action);

    /// <param name="parameters">Those of the page, but the visit, which each has.</param>
    internal IResult Page<TPage>(Dictionary<string, object?> parameters, int status = StatusCodes.Status200OK)
        where TPage : IComponent
    {
        parameters[nameof(OperationsFrame.Visit)] = this;
        return PageResults.Render<TPage>(Request.HttpContext, parameters, status: status);
    }

    /// <summary>After an action: back to a page of ours, which says what was done.</summary>
    internal IResult Back(string url, string notice) => new SeeOther(UrlQuery.Add(url, ("notice", notice), ("seal", session.Csrf(NoticePurpose(notice)))));

    /// <summary>Why nothing was shown or changed.</summary>
    internal IResult Problem(int status, string title, string detail, RefusalReason reason = RefusalReason.InvalidRequest)
    {
        RequestNotes.Of(Request.HttpContext).Refuse(new Refusal(reason));
        return Page<OperationsProblem>(new() { [nameof(OperationsProblem.Title)] = title, [nameof(OperationsProblem.Detail)] = detail }, status);
    }

    private static string NoticePurpose(string text) => "operations notice/" + text;
}

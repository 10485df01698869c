using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Gateway;

/// <summary>A call from its admission to its end: forwarded, its end recorded and counted, whoever asks for it in whichever way.</summary>
internal sealed class GatewayCalls(GatewayService service, Forwarder forwarder, GatewayMetrics metrics, OpenCalls open, TimeProvider clock)
{
    /// <param name="context">What the upstream gets is read from its request; the upstream's answer goes into its response.</param>
    /// <returns>Why there is no answer of the upstream; null when it is in the response.</returns>
    public async Task<GatewayRefusal?> MakeAsync(HttpContext context, GatewayRequest request)
    {
        var started = clock.GetTimestamp();
        using var place = new OpenCall(open);
        var verdict = await service.AdmitAsync(request, place);
        if (verdict.Quota is { } quota)
        {
            GatewayAnswers.Tell(context.Response, quota);
        }

        if (verdict.Admission is not { } admission)
        {
            metrics.Answered(null, verdict.Refusal!.Status, clock.GetElapsedTime(started));
            return verdict.Refusal;
        }

        RequestNotes.Of(context).Action = admission.Route.Name;
        var status = StatusCodes.Status500InternalServerError;
        try
        {
            (status, var refusal) = await forwarder.ForwardAsync(context, admission);
            return refusal?.Of(admission.Caller);
        }
        finally
        {
            service.Ended(admission, status, clock.GetElapsedTime(started));
            metrics.Answered(admission.Route.Name, status, clock.GetElapsedTime(started));
        }
    }
}
